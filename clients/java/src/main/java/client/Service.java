package client;

import static java.util.concurrent.TimeUnit.SECONDS;

import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;
import kintsugi.v1.Event;
import kintsugi.v1.EventServiceGrpc;
import kintsugi.v1.ExceptionServiceGrpc;
import kintsugi.v1.StreamEventsRequest;

/** The way to the service: one channel, calls that are repeated, streams that are gone on with. */
final class Service implements AutoCloseable {
  /** The calls that may be repeated: they change nothing, or have a request id. */
  private static final Map<String, ?> CONFIG = Map.of("methodConfig", List.of(Map.of(
      "name", Stream.of("ListExceptions", "GetException", "ResolveException")
          .map(method -> Map.of("service", ExceptionServiceGrpc.SERVICE_NAME, "method", method)).toList(),
      "timeout", "20s",
      "retryPolicy", Map.of(
          "maxAttempts", 5.0, "initialBackoff", "0.5s", "maxBackoff", "5s", "backoffMultiplier", 2.0,
          "retryableStatusCodes", List.of("UNAVAILABLE")))));

  /** Streams that broke off for one of these are gone on with. */
  private static final Set<Code> PASSING =
      Set.of(Code.UNAVAILABLE, Code.INTERNAL, Code.UNKNOWN, Code.RESOURCE_EXHAUSTED);

  /** A page of large exceptions is more than the 4 MiB that gRPC takes by default. */
  private static final int LARGEST_ANSWER = 64 << 20;

  final ExceptionServiceGrpc.ExceptionServiceBlockingStub exceptions;
  private final EventServiceGrpc.EventServiceBlockingStub events;
  private final ManagedChannel channel;

  /** Sends the access token with every call; also finds out, by pings, that a quiet connection is dead. */
  Service(String server, String token) {
    var headers = new Metadata();
    headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
    channel = ManagedChannelBuilder.forTarget(server)
        .intercept(MetadataUtils.newAttachHeadersInterceptor(headers))
        .usePlaintext().defaultServiceConfig(CONFIG).keepAliveTime(30, SECONDS)
        .maxInboundMessageSize(LARGEST_ANSWER).build();
    exceptions = ExceptionServiceGrpc.newBlockingStub(channel);
    events = EventServiceGrpc.newBlockingStub(channel);
  }

  /**
   * Shows the events of a thread, from the first one on, until the reader wants no more. Where the stream breaks off, a
   * new one goes on after the last cursor, so that nothing is missed and nothing that is complete comes twice.
   */
  void follow(String thread, Predicate<Event> reader) throws InterruptedException {
    var request = StreamEventsRequest.newBuilder().setParent(thread);
    for (long pause = 500; ; pause = Math.min(2 * pause, 5000)) {
      try {
        for (var stream = events.streamEvents(request.build()); stream.hasNext(); pause = 500) {
          var message = stream.next();
          if (message.hasError()) {
            throw StatusProto.toStatusRuntimeException(message.getError());
          }
          if (message.hasEvent() && !reader.test(message.getEvent())) {
            return;
          }
          request.setAfter(message.getCursor());
        }
      } catch (StatusRuntimeException error) {
        if (!PASSING.contains(error.getStatus().getCode())) {
          throw error;
        }
        System.err.println("the stream broke off (" + error.getMessage() + "); going on");
      }
      Thread.sleep(pause);
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }
}
