package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var handshake = regexp.MustCompile(`^1\|2\|tcp\|127\.0\.0\.1:\d+\|grpc$|^1\|2\|unix\|/.+\|grpc$`)

// starting checks how the plugin starts and greets.
func (h *host) starting() {
	h.section("Start")
	h.check("with Grafana's cookie the first line of standard output is the handshake, on loopback or a socket only", func() error {
		cmd := exec.Command(h.binary)
		cmd.Env = []string{grpcplugin.MagicCookieKey + "=" + grpcplugin.MagicCookieValue, "PLUGIN_PROTOCOL_VERSIONS=2", "PLUGIN_MIN_PORT=0", "PLUGIN_MAX_PORT=0"}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		line := make(chan string, 1)
		go func() {
			text, _ := bufio.NewReader(out).ReadString('\n')
			line <- strings.TrimSuffix(text, "\n")
		}()
		select {
		case found := <-line:
			if !handshake.MatchString(found) {
				return fmt.Errorf("the line is %q", found)
			}
			return nil
		case <-time.After(time.Minute):
			return fmt.Errorf("no line within a minute, which is all that Grafana waits")
		}
	})
	h.check("without the cookie the same program is the command line", func() error {
		cmd := exec.Command(h.binary, "--version")
		cmd.Env = []string{}
		out, err := cmd.Output()
		if err != nil || !strings.HasPrefix(string(out), "lakeapm") {
			return fmt.Errorf("`--version` prints %q: %v", out, err)
		}
		return nil
	})
	h.shared(func(check func(string, func(*process) error)) {
		check("every service that Grafana creates a client for is there, and gRPC's health of `plugin` is serving", func(p *process) error {
			return p.rpc.Ping()
		})
		check("what a data source does not have is answered as not implemented, which Grafana tolerates", func(p *process) error {
			stream, err := p.data.QueryChunkedData(context.Background(), &pluginv2.QueryChunkedDataRequest{PluginContext: of(h.history).context()})
			if err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != codes.Unimplemented {
				return fmt.Errorf("QueryChunkedData says %v", err)
			}
			return nil
		})
		check("a plugin that was killed is seen as gone and starts again", func(p *process) error {
			if err := p.cmd.Process.Kill(); err != nil {
				return err
			}
			for range 100 {
				if p.client.Exited() {
					break
				}
				time.Sleep(20 * time.Millisecond)
			}
			if !p.client.Exited() {
				return fmt.Errorf("the end is not seen")
			}
			again, err := start(h.binary)
			if err != nil {
				return err
			}
			defer again.end()
			*p = *again
			if _, err := again.frames(of(h.history), headers(), panel{text: "queries", format: "table", from: now.Add(-24 * time.Hour), to: now}); err != nil {
				return err
			}
			another, err := start(h.binary)
			if err == nil {
				*p = *another
			}
			return err
		})
	})
}

// ending checks how the plugin ends.
func (h *host) ending() {
	h.section("End")
	h.check("an idle plugin ends within 2 s of being asked, and Grafana warns of nothing", func() error {
		p, err := start(h.binary)
		if err != nil {
			return err
		}
		if _, err := p.frames(of(h.history), headers(), panel{text: "queries", format: "table", from: now.Add(-24 * time.Hour), to: now}); err != nil {
			return err
		}
		return ended(p)
	})
	h.check("a plugin with panel queries and a live channel under way ends within 2 s as well", func() error {
		p, err := start(h.binary)
		if err != nil {
			return err
		}
		s := of(h.history)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for nth := range 3 {
			go func() { _, _ = p.query(ctx, request(s, headers(), heavy(nth))) }()
		}
		if stream, err := p.stream.RunStream(ctx, &pluginv2.RunStreamRequest{PluginContext: s.context(), Path: channel}); err == nil {
			_, _ = stream.Recv()
		}
		time.Sleep(300 * time.Millisecond)
		return ended(p)
	})
	h.check("what was in flight at the end is answered or cancelled, never left hanging", func() error {
		p, err := start(h.binary)
		if err != nil {
			return err
		}
		s := of(h.history)
		done := make(chan error, 1)
		go func() {
			_, err := p.query(context.Background(), request(s, headers(), heavy(0)))
			done <- err
		}()
		time.Sleep(200 * time.Millisecond)
		if err := ended(p); err != nil {
			return err
		}
		select {
		case err := <-done:
			if code := status.Code(err); code != codes.OK && code != codes.Canceled && code != codes.Unavailable {
				return err
			}
			return nil
		case <-time.After(time.Second):
			return fmt.Errorf("it hangs a second after the end")
		}
	})
}

func ended(p *process) error {
	took, err := p.stop()
	if err != nil {
		return err
	}
	if took > 2*time.Second {
		return fmt.Errorf("it took %.1f s", took.Seconds())
	}
	return nil
}

// heavy is a panel query that takes seconds; each is another.
func heavy(nth int) panel {
	return panel{ref: "A", text: "list tables", format: "table", from: now.Add(-15*24*time.Hour + time.Duration(nth)*time.Hour), to: now}
}
