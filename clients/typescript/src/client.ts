// A client of Kintsugi:
//
//   client list                 the pending exceptions
//   client follow NAME          what is said and done about one of them, until it is resolved
//   client resolve NAME NOTE    resolves it, with a note about how
//
// The service is found by KINTSUGI_SERVER (host:port, default 127.0.0.1:8080), and called with the access token in
// KINTSUGI_TOKEN.

import { randomUUID } from "node:crypto";
import { type Event, Event_State, EventKind } from "../gen/kintsugi/v1/event_pb.js";
import { ExceptionState } from "../gen/kintsugi/v1/exception_pb.js";
import { connect, type Service, thread } from "./service.js";

const WORKSPACE = "organizations/local/workspaces/default";

async function main(service: Service, [command, name, note]: string[]): Promise<void> {
  if (command === "list") return list(service);
  if (command === "follow" && name) return follow(service, name);
  if (command === "resolve" && name && note) return resolve(service, name, note);
  throw new Error("usage: client list | follow NAME | resolve NAME NOTE");
}

async function list({ exceptions }: Service): Promise<void> {
  let pageToken = "";
  do {
    const page = await exceptions.listExceptions({
      parent: WORKSPACE,
      filter: "state = PENDING",
      pageSize: 100,
      pageToken,
    });
    for (const one of page.exceptions) console.log(one.name, JSON.stringify(one.message));
    pageToken = page.nextPageToken;
  } while (pageToken);
}

async function follow(service: Service, name: string): Promise<void> {
  const { run } = await service.exceptions.getException({ name });
  for await (const event of thread(service, `${run}/agents/kai`)) {
    if (event.state !== Event_State.COMPLETE) continue; // still being written: it comes again
    console.log(said(event));
    if (event.kind !== EventKind.SYSTEM_MESSAGE) continue;
    // The service did something: was that it?
    const exception = await service.exceptions.getException({ name });
    if (exception.state === ExceptionState.RESOLVED) {
      console.log("it is resolved:", exception.resolutionNote);
      return;
    }
  }
}

function said({ kind, eventData: { case: whose, value } }: Event): string {
  switch (whose) {
    case "userMessage":
      return `${value.user}: ${value.input.case === "content" ? value.input.value : "(files)"}`;
    case "agentMessage":
      return `agent: ${value.content}`;
    case "systemMessage":
      return `system: ${value.content}`;
    default:
      return EventKind[kind];
  }
}

async function resolve({ exceptions }: Service, name: string, note: string): Promise<void> {
  // The request id makes it harmless that the call is repeated where its answer was lost.
  const request = { name, resolutionNote: note, requestId: randomUUID() };
  const { resolver } = await exceptions.resolveException(request);
  console.log("resolved by", resolver);
}

const { KINTSUGI_SERVER: server = "127.0.0.1:8080", KINTSUGI_TOKEN: token = "" } = process.env;
const service = connect(server, token);
try {
  if (!token) throw new Error("KINTSUGI_TOKEN must be an access token");
  await main(service, process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  service.close();
}
