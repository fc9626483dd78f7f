package main

import (
	"context"
	"iter"
	"log"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	kintsugi "kintsugi/clients/go/gen/kintsugi/v1"
)

// The calls that may be repeated: they change nothing, or have a request id.
const serviceConfig = `{"methodConfig": [{
  "name": [
    {"service": "kintsugi.v1.ExceptionService", "method": "ListExceptions"},
    {"service": "kintsugi.v1.ExceptionService", "method": "GetException"},
    {"service": "kintsugi.v1.ExceptionService", "method": "ResolveException"}
  ],
  "timeout": "20s",
  "retryPolicy": {
    "maxAttempts": 5, "initialBackoff": "0.5s", "maxBackoff": "5s", "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"]
  }
}]}`

// Streams that broke off for one of these are gone on with.
var passing = []codes.Code{codes.Unavailable, codes.Internal, codes.Unknown, codes.ResourceExhausted}

// A page of large exceptions is more than the 4 MiB that gRPC takes by default.
const largestAnswer = 64 << 20

const shortestPause, longestPause = 500 * time.Millisecond, 5 * time.Second

// bearer is an access token that comes with every call.
type bearer string

func (token bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(token)}, nil
}

// RequireTransportSecurity would say true, and connect take credentials.NewTLS, where the service is another machine.
func (bearer) RequireTransportSecurity() bool { return false }

// connect also finds out, by pings, that a quiet connection is dead.
func connect(server, token string) (*grpc.ClientConn, error) {
	return grpc.NewClient(server,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(bearer(token)),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second}))
}

// thread yields the events of a thread from the first one on, without end: where the stream breaks off, a new one
// goes on after the last cursor, so that nothing is missed and nothing that is complete comes twice.
func thread(ctx context.Context, events kintsugi.EventServiceClient, name string) iter.Seq2[*kintsugi.Event, error] {
	return func(yield func(*kintsugi.Event, error) bool) {
		ctx, hangUp := context.WithCancel(ctx)
		defer hangUp()
		request, pause := &kintsugi.StreamEventsRequest{Parent: name}, shortestPause
		for {
			stream, err := events.StreamEvents(ctx, request)
			for err == nil {
				var message *kintsugi.StreamEventsResponse
				if message, err = receive(stream); err != nil {
					break
				}
				if message.Event != nil && !yield(message.Event, nil) {
					return
				}
				request.After, pause = message.Cursor, shortestPause
			}
			if !slices.Contains(passing, status.Code(err)) {
				yield(nil, err)
				return
			}
			log.Printf("the stream broke off (%v); going on", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
				pause = min(2*pause, longestPause)
			}
		}
	}
}

// receive also takes the last message for the error that it tells of.
func receive(stream grpc.ServerStreamingClient[kintsugi.StreamEventsResponse]) (*kintsugi.StreamEventsResponse, error) {
	message, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	return message, status.ErrorProto(message.Error)
}
