package client;

import io.grpc.StatusRuntimeException;
import java.util.UUID;
import kintsugi.v1.Event;
import kintsugi.v1.ExceptionState;
import kintsugi.v1.GetExceptionRequest;
import kintsugi.v1.ListExceptionsRequest;
import kintsugi.v1.ListExceptionsResponse;
import kintsugi.v1.ResolveExceptionRequest;

/**
 * A client of Kintsugi.
 *
 * <pre>
 *   client list                 the pending exceptions
 *   client follow NAME          what is said and done about one of them, until it is resolved
 *   client resolve NAME NOTE    resolves it, with a note about how
 * </pre>
 *
 * The service is found by KINTSUGI_SERVER (host:port, default 127.0.0.1:8080), and called with the access token in
 * KINTSUGI_TOKEN.
 */
final class Client {
  private static final String WORKSPACE = "organizations/local/workspaces/default";

  private final Service service;

  private Client(Service service) {
    this.service = service;
  }

  public static void main(String[] arguments) throws InterruptedException {
    String server = System.getenv().getOrDefault("KINTSUGI_SERVER", "127.0.0.1:8080");
    String token = System.getenv().getOrDefault("KINTSUGI_TOKEN", "");
    try (Service service = new Service(server, token)) {
      if (token.isEmpty()) {
        throw new IllegalArgumentException("KINTSUGI_TOKEN must be an access token");
      }
      new Client(service).run(arguments);
    } catch (StatusRuntimeException | IllegalArgumentException error) {
      System.err.println(error.getMessage());
      System.exit(1);
    }
  }

  private void run(String[] arguments) throws InterruptedException {
    String command = arguments.length > 0 ? arguments[0] : "";
    if (command.equals("list") && arguments.length == 1) {
      list();
    } else if (command.equals("follow") && arguments.length == 2) {
      follow(arguments[1]);
    } else if (command.equals("resolve") && arguments.length == 3) {
      resolve(arguments[1], arguments[2]);
    } else {
      throw new IllegalArgumentException("usage: client list | follow NAME | resolve NAME NOTE");
    }
  }

  private void list() {
    var request =
        ListExceptionsRequest.newBuilder().setParent(WORKSPACE).setFilter("state = PENDING").setPageSize(100);
    ListExceptionsResponse page;
    do {
      page = service.exceptions.listExceptions(request.build());
      page.getExceptionsList().forEach(one -> System.out.println(one.getName() + "  " + one.getMessage()));
      request.setPageToken(page.getNextPageToken());
    } while (!page.getNextPageToken().isEmpty());
  }

  private void follow(String name) throws InterruptedException {
    service.follow(get(name).getRun() + "/agents/kai", event -> {
      if (event.getState() != Event.State.STATE_COMPLETE) {
        return true; // Still being written: it comes again.
      }
      System.out.println(said(event));
      return !event.hasSystemMessage() || !isResolved(name); // The service did something: was that it?
    });
  }

  private boolean isResolved(String name) {
    var exception = get(name);
    boolean resolved = exception.getState() == ExceptionState.EXCEPTION_STATE_RESOLVED;
    if (resolved) {
      System.out.println("it is resolved: " + exception.getResolutionNote());
    }
    return resolved;
  }

  private kintsugi.v1.Exception get(String name) {
    return service.exceptions.getException(GetExceptionRequest.newBuilder().setName(name).build());
  }

  private static String said(Event event) {
    return switch (event.getEventDataCase()) {
      case USER_MESSAGE -> event.getUserMessage().getUser() + ": " + event.getUserMessage().getContent();
      case AGENT_MESSAGE -> "agent: " + event.getAgentMessage().getContent();
      case SYSTEM_MESSAGE -> "system: " + event.getSystemMessage().getContent();
      default -> event.getKind().name();
    };
  }

  private void resolve(String name, String note) {
    // The request id makes it harmless that the call is repeated where its answer was lost.
    String requestId = UUID.randomUUID().toString();
    var request =
        ResolveExceptionRequest.newBuilder().setName(name).setResolutionNote(note).setRequestId(requestId).build();
    System.out.println("resolved by " + service.exceptions.resolveException(request).getResolver());
  }
}
