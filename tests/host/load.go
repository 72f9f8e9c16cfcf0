package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// load checks many panel queries at once, cancelled ones, and ones that are asked twice.
func (h *host) load() {
	s := of(h.history)
	h.section("Many at once, cancellation, the cache")
	h.shared(func(check func(string, func(*process) error)) {
		measures := []string{"queries", "errors", "p95 latency", "avg queue_time", "bytes_read"}
		dimensions := []string{"app", "dag", "user", "statement", "dashboard", "person", "queue", "status", "client", "task"}
		check("50 panel queries of one request are all answered, each under its refId", func(p *process) error {
			panels := []panel{}
			for nth := range 50 {
				panels = append(panels, panel{ref: fmt.Sprint("Q", nth), text: measures[nth%5] + " by " + dimensions[nth/5], format: "table", from: now.Add(-day), to: now})
			}
			resp, err := p.query(context.Background(), request(s, headers(), panels...))
			if err != nil {
				return err
			}
			read, err := decode(resp)
			if err != nil {
				return err
			}
			var wrong faults
			wrong.want("the number of answers", len(read), 50)
			for nth, each := range panels {
				answer := read[each.ref]
				if answer.Error != nil || len(answer.Frames) == 0 {
					wrong.add("%s: %v", each.ref, answer.Error)
					continue
				}
				if _, err := field(answer.Frames[0], dimensions[nth/5]); err != nil {
					wrong.add("%s: %w", each.ref, err)
				}
			}
			return wrong.all()
		})
		check("50 requests at once are all answered", func(p *process) error {
			var wait sync.WaitGroup
			failures := make([]error, 50)
			for nth := range failures {
				wait.Go(func() {
					_, failures[nth] = p.frames(s, headers(), panel{text: measures[nth%5] + " by " + dimensions[nth/5], format: "table", from: now.Add(-3 * day), to: now})
				})
			}
			wait.Wait()
			var wrong faults
			for _, err := range failures {
				wrong.err(err)
			}
			return wrong.all()
		})
		check("a cancelled panel query ends at once for Grafana, and the engine stops working on it", func(p *process) error {
			if err := p.idle(); err != nil {
				return err
			}
			start, err := p.cpu()
			if err != nil {
				return err
			}
			if _, err := p.frames(s, headers(), heavy(1)); err != nil {
				return err
			}
			if err := p.idle(); err != nil {
				return err
			}
			before, err := p.cpu()
			if err != nil {
				return err
			}
			whole := before - start
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := p.query(ctx, request(s, headers(), heavy(2)))
				done <- err
			}()
			// Until a tenth of the work is done.
			for {
				used, err := p.cpu()
				if err != nil {
					return err
				}
				if used-before > whole/10 {
					break
				}
				select {
				case err := <-done:
					return fmt.Errorf("it was answered before it could be cancelled: %v", err)
				case <-time.After(5 * time.Millisecond):
				}
			}
			cancel()
			cancelled := time.Now()
			if err := <-done; status.Code(err) != codes.Canceled {
				return fmt.Errorf("it says %v", err)
			}
			if took := time.Since(cancelled); took > time.Second {
				return fmt.Errorf("it ended %s after it was cancelled", took)
			}
			if err := p.idle(); err != nil {
				return err
			}
			after, err := p.cpu()
			if err != nil {
				return err
			}
			if used := after - before; used > whole*7/10 {
				return fmt.Errorf("cancelled after a tenth of its work it used %s of a processor, the whole of it %s", used, whole)
			}
			_, err = p.frames(s, headers(), panel{text: "queries", format: "table", from: now.Add(-day), to: now})
			return err
		})
		check("a slow answer is an error that names the limit and how to raise it, for panels and rules", func(p *process) error {
			slow := s
			slow.uid, slow.json = "slow", map[string]any{"history": h.history, "limits": map[string]any{"timeout": 1}}
			var wrong faults
			for nth, head := range []map[string]string{headers(), alert()} {
				q := panel{text: "list tables", format: "table", from: now.Add(-14*day + time.Duration(nth)*time.Hour), to: now}
				// The more at once, the slower each.
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				for other := range 8 {
					go func() { _, _ = p.query(ctx, request(s, headers(), heavy(20+8*nth+other))) }()
				}
				if nth == 1 {
					q.text = "p99 latency by run, fingerprint, task, chart, reads, writes, table, user, client, label, person"
				}
				answer, err := p.one(slow, head, q)
				cancel()
				if err != nil {
					return err
				}
				if err := failed(answer, "1 s", "timeout|limit"); err != nil {
					wrong.err(err)
				} else {
					wrong.want("the status", int(answer.Status), 504)
				}
			}
			wrong.err(p.idle())
			return wrong.all()
		})
		check("who gives up does not take the answer from others that ask the same", func(p *process) error {
			q := heavy(3)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			gone := make(chan error, 1)
			go func() {
				_, err := p.query(ctx, request(s, headers(), q))
				gone <- err
			}()
			time.Sleep(100 * time.Millisecond)
			stays := make(chan error, 1)
			go func() {
				_, err := p.frames(s, headers(), q)
				stays <- err
			}()
			time.Sleep(150 * time.Millisecond)
			cancel()
			<-gone
			return <-stays
		})
		check("identical panel queries in flight run once", func(p *process) error {
			used := func(times, nth int) (time.Duration, error) {
				if err := p.idle(); err != nil {
					return 0, err
				}
				before, err := p.cpu()
				if err != nil {
					return 0, err
				}
				var wait sync.WaitGroup
				failures := make([]error, times)
				for each := range failures {
					wait.Go(func() { _, failures[each] = p.frames(s, headers(), heavy(nth)) })
				}
				wait.Wait()
				var wrong faults
				for _, err := range failures {
					wrong.err(err)
				}
				after, err := p.cpu()
				wrong.err(err)
				return after - before, wrong.all()
			}
			alone, err := used(1, 4)
			if err != nil {
				return err
			}
			together, err := used(12, 5)
			if err != nil {
				return err
			}
			if together > 2*alone+100*time.Millisecond {
				return fmt.Errorf("12 at once took %s of a processor, one alone %s", together, alone)
			}
			return nil
		})
		check("an answer is kept for the next that asks, and X-Cache-Skip asks anew", func(p *process) error {
			if _, err := p.frames(s, headers(), heavy(6)); err != nil {
				return err
			}
			used := func(skip bool) (time.Duration, error) {
				head := headers()
				if skip {
					head["X-Cache-Skip"] = "true"
				}
				before, err := p.cpu()
				if err != nil {
					return 0, err
				}
				if _, err := p.frames(s, head, heavy(6)); err != nil {
					return 0, err
				}
				after, err := p.cpu()
				return after - before, err
			}
			kept, err := used(false)
			if err != nil {
				return err
			}
			anew, err := used(true)
			if err != nil {
				return err
			}
			if kept > anew/3 {
				return fmt.Errorf("kept it took %s of a processor, anew %s", kept, anew)
			}
			return nil
		})
		check("a user's answer is the same whichever panel asks, and statements name the panel that ran them", func(p *process) error {
			q := panel{text: "queries by app, queue", format: "table", from: now.Add(-5 * day), to: now}
			first, err := p.frames(s, headers(), q)
			if err != nil {
				return err
			}
			other := headers()
			other["http_X-Panel-Id"] = "99"
			second, err := p.frames(s, other, q)
			if err != nil {
				return err
			}
			if first[0].Rows() != second[0].Rows() {
				return fmt.Errorf("%d rows, then %d", first[0].Rows(), second[0].Rows())
			}
			return says(first[0].Meta.ExecutedQueryString, `"app":"lakeapm"`, `"dashboard":"sla|"dashboard": "sla`)
		})
	})
}

// idle waits until the plugin does nothing.
func (p *process) idle() error {
	last, err := p.cpu()
	if err != nil {
		return err
	}
	for range 120 {
		time.Sleep(250 * time.Millisecond)
		used, err := p.cpu()
		if err != nil {
			return err
		}
		if used-last <= 10*time.Millisecond {
			return nil
		}
		last = used
	}
	return fmt.Errorf("the plugin is still at work after 30 s")
}
