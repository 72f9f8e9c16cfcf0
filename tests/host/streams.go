package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// channel is the live channel of what is running now.
const channel = "running"

func withTrace(ctx context.Context, parent string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "traceparent", parent)
}

// streams checks the live channel.
func (h *host) streams() {
	s := of(h.history)
	h.section("Live channel")
	h.shared(func(check func(string, func(*process) error)) {
		check("the channel of running queries can be subscribed to, another is not found, and nobody may publish", func(p *process) error {
			var wrong faults
			sub, err := p.stream.SubscribeStream(context.Background(), &pluginv2.SubscribeStreamRequest{PluginContext: s.context(), Path: channel})
			if err != nil {
				return err
			}
			wrong.want("the status of "+channel, sub.Status, pluginv2.SubscribeStreamResponse_OK)
			sub, err = p.stream.SubscribeStream(context.Background(), &pluginv2.SubscribeStreamRequest{PluginContext: s.context(), Path: "no/such/channel"})
			if err != nil {
				return err
			}
			wrong.want("the status of another", sub.Status, pluginv2.SubscribeStreamResponse_NOT_FOUND)
			pub, err := p.stream.PublishStream(context.Background(), &pluginv2.PublishStreamRequest{PluginContext: s.context(), Path: channel, Data: []byte("{}")})
			if err != nil {
				return err
			}
			wrong.want("the status of publishing", pub.Status, pluginv2.PublishStreamResponse_PERMISSION_DENIED)
			return wrong.all()
		})
		check("it sends what is running as a frame at once, then only changes, and ends when nobody listens", func(p *process) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			stream, err := p.stream.RunStream(ctx, &pluginv2.RunStreamRequest{PluginContext: s.context(), Path: channel})
			if err != nil {
				return err
			}
			packets := make(chan []byte, 100)
			ended := make(chan error, 1)
			go func() {
				for {
					packet, err := stream.Recv()
					if err != nil {
						ended <- err
						return
					}
					packets <- packet.Data
				}
			}()
			var frame data.Frame
			select {
			case raw := <-packets:
				if err := json.Unmarshal(raw, &frame); err != nil {
					return fmt.Errorf("Grafana cannot read the first packet: %w: %s", err, tail(string(raw)))
				}
			case err := <-ended:
				return fmt.Errorf("the channel ended: %w", err)
			case <-time.After(15 * time.Second):
				return fmt.Errorf("nothing within 15 s")
			}
			var wrong faults
			judge, err := ask(h.binary, h.history, "list queries where status = 'running'", now.Add(-day), now)
			if err != nil {
				return err
			}
			wrong.want("the rows of the first packet", frame.Rows(), len(judge.Rows))
			if _, err := field(&frame, "query_id"); err != nil {
				wrong.err(err)
			}
			// The demo stands still, so nothing changes.
			select {
			case raw := <-packets:
				wrong.add("a packet though nothing changed: %s", tail(string(raw)))
			case err := <-ended:
				wrong.add("the channel ended: %w", err)
			case <-time.After(6 * time.Second):
			}
			cancel()
			select {
			case err := <-ended:
				if status.Code(err) != codes.Canceled {
					wrong.add("it ended with %v", err)
				}
			case <-time.After(2 * time.Second):
				wrong.add("it goes on when nobody listens")
			}
			time.Sleep(300 * time.Millisecond)
			before, err := p.cpu()
			wrong.err(err)
			time.Sleep(2 * time.Second)
			after, err := p.cpu()
			wrong.err(err)
			if used := after - before; used > 100*time.Millisecond {
				wrong.add("nobody listens, and the plugin used %s of a processor in 2 s", used)
			}
			return wrong.all()
		})
		check("it survives a lost warehouse, and sends again when what runs has changed", func(p *process) error {
			place, away, other := filepath.Join(h.folder, "live"), filepath.Join(h.folder, "away"), filepath.Join(h.folder, "other")
			if err := os.CopyFS(place, os.DirFS(h.history)); err != nil {
				return err
			}
			if _, err := os.Stat(other); err != nil {
				if err := h.demo(other, "--queries", "3000", "--days", "3", "--seed", "7"); err != nil {
					return err
				}
			}
			moving := of(place)
			moving.uid = "moving"
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			stream, err := p.stream.RunStream(ctx, &pluginv2.RunStreamRequest{PluginContext: moving.context(), Path: channel})
			if err != nil {
				return err
			}
			if _, err := stream.Recv(); err != nil {
				return err
			}
			next := make(chan error, 1)
			go func() {
				_, err := stream.Recv()
				next <- err
			}()
			if err := os.Rename(place, away); err != nil {
				return err
			}
			select {
			case err := <-next:
				if err != nil {
					return fmt.Errorf("it ended when the history was gone: %w", err)
				}
			case <-time.After(8 * time.Second):
			}
			if err := os.CopyFS(place, os.DirFS(other)); err != nil {
				return err
			}
			select {
			case err := <-next:
				return err
			case <-time.After(30 * time.Second):
				return fmt.Errorf("other queries run now, and nothing was sent within 30 s")
			}
		})
		check("a channel of a data source that cannot be opened does not end the plugin", func(p *process) error {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			bad := of("/nowhere/at/all")
			bad.uid = "nowhere"
			if stream, err := p.stream.RunStream(ctx, &pluginv2.RunStreamRequest{PluginContext: bad.context(), Path: channel}); err == nil {
				_, _ = stream.Recv()
			}
			_, err := p.frames(s, headers(), panel{text: "queries", format: "table", from: now.Add(-day), to: now})
			return err
		})
	})
}
