// A client of Kintsugi:
//
//	client list                 the pending exceptions
//	client follow NAME          what is said and done about one of them, until it is resolved
//	client resolve NAME NOTE    resolves it, with a note about how
//
// The service is found by KINTSUGI_SERVER (host:port, default 127.0.0.1:8080), and called with the access token in
// KINTSUGI_TOKEN.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"

	kintsugi "kintsugi/clients/go/gen/kintsugi/v1"
)

const workspace = "organizations/local/workspaces/default"

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, arguments []string) error {
	token := os.Getenv("KINTSUGI_TOKEN")
	if token == "" {
		return errors.New("KINTSUGI_TOKEN must be an access token")
	}
	channel, err := connect(cmp.Or(os.Getenv("KINTSUGI_SERVER"), "127.0.0.1:8080"), token)
	if err != nil {
		return err
	}
	defer channel.Close()
	exceptions := kintsugi.NewExceptionServiceClient(channel)
	events := kintsugi.NewEventServiceClient(channel)
	switch {
	case len(arguments) == 1 && arguments[0] == "list":
		return list(ctx, exceptions)
	case len(arguments) == 2 && arguments[0] == "follow":
		return follow(ctx, exceptions, events, arguments[1])
	case len(arguments) == 3 && arguments[0] == "resolve":
		return resolve(ctx, exceptions, arguments[1], arguments[2])
	}
	return errors.New("usage: client list | follow NAME | resolve NAME NOTE")
}

func list(ctx context.Context, exceptions kintsugi.ExceptionServiceClient) error {
	request := &kintsugi.ListExceptionsRequest{Parent: workspace, Filter: "state = PENDING", PageSize: 100}
	for {
		page, err := exceptions.ListExceptions(ctx, request)
		if err != nil {
			return err
		}
		for _, exception := range page.Exceptions {
			fmt.Printf("%s  %q\n", exception.Name, exception.Message)
		}
		if page.NextPageToken == "" {
			return nil
		}
		request.PageToken = page.NextPageToken
	}
}

func follow(
	ctx context.Context, exceptions kintsugi.ExceptionServiceClient, events kintsugi.EventServiceClient, name string,
) error {
	get := &kintsugi.GetExceptionRequest{Name: name}
	exception, err := exceptions.GetException(ctx, get)
	if err != nil {
		return err
	}
	for event, err := range thread(ctx, events, exception.Run+"/agents/kai") {
		if err != nil {
			return err
		}
		if event.State != kintsugi.Event_STATE_COMPLETE {
			continue // It is still being written, and comes again.
		}
		fmt.Println(said(event))
		if event.GetSystemMessage() == nil {
			continue
		}
		// The service has done something: was that it?
		if exception, err = exceptions.GetException(ctx, get); err != nil {
			return err
		}
		if exception.State == kintsugi.ExceptionState_EXCEPTION_STATE_RESOLVED {
			fmt.Println("it is resolved:", exception.ResolutionNote)
			return nil
		}
	}
	return nil
}

func said(event *kintsugi.Event) string {
	switch data := event.EventData.(type) {
	case *kintsugi.Event_UserMessage:
		return data.UserMessage.User + ": " + data.UserMessage.GetContent()
	case *kintsugi.Event_AgentMessage:
		return "agent: " + data.AgentMessage.Content
	case *kintsugi.Event_SystemMessage:
		return "system: " + data.SystemMessage.Content
	default:
		return event.Kind.String()
	}
}

func resolve(ctx context.Context, exceptions kintsugi.ExceptionServiceClient, name, note string) error {
	// The request id makes it harmless that the call is repeated where its answer was lost.
	request := &kintsugi.ResolveExceptionRequest{Name: name, ResolutionNote: note, RequestId: rand.Text()}
	exception, err := exceptions.ResolveException(ctx, request)
	if err != nil {
		return err
	}
	fmt.Println("resolved by", exception.Resolver)
	return nil
}
