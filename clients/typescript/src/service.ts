import { setTimeout as pause } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { Event } from "../gen/kintsugi/v1/event_pb.js";
import { EventService } from "../gen/kintsugi/v1/event_service_pb.js";
import { ExceptionService } from "../gen/kintsugi/v1/exception_service_pb.js";

export interface Service {
  exceptions: Client<typeof ExceptionService>;
  events: Client<typeof EventService>;
  close(): void;
}

/** One connection for all calls, which also finds out, by pings, that a quiet one is dead. */
export function connect(server: string, token: string): Service {
  const baseUrl = `http://${server}`;
  const sessionManager = new Http2SessionManager(baseUrl, { pingIntervalMs: 30_000 });
  const transport = createGrpcTransport({ baseUrl, sessionManager, interceptors: [repeat, bearing(token)] });
  return {
    exceptions: createClient(ExceptionService, transport),
    events: createClient(EventService, transport),
    close: () => sessionManager.abort(),
  };
}

/** Sends the access token with every call. */
function bearing(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}

/** Repeats calls that found nobody. All of these may be: they change nothing, or have a request id. */
const repeat: Interceptor = (next) => async (request) => {
  if (request.stream) return next(request);
  for (const ms of [500, 1000, 2000, 4000]) {
    try {
      return await next(request);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unavailable) throw error;
      await pause(ms);
    }
  }
  return next(request);
};

/** Streams that broke off for one of these are gone on with. */
const PASSING = [Code.Unavailable, Code.Internal, Code.Unknown, Code.ResourceExhausted];

/**
 * The events of a thread from the first one on, without end: where the stream breaks off, a new one goes on after the
 * last cursor, so that nothing is missed and nothing that is complete comes twice.
 */
export async function* thread({ events }: Service, name: string): AsyncGenerator<Event> {
  let after = "";
  for (let ms = 500; ; ms = Math.min(2 * ms, 5000)) {
    try {
      for await (const { event, cursor, error } of events.streamEvents({ parent: name, after })) {
        if (error) throw new ConnectError(error.message, error.code);
        if (event) yield event;
        after = cursor;
        ms = 500;
      }
    } catch (error) {
      if (!PASSING.includes(ConnectError.from(error).code)) throw error;
      console.error(`the stream broke off (${error}); going on`);
    }
    await pause(ms);
  }
}
