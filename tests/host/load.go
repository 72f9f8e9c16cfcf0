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
			for _, each := range panels {
				answer := read[each.ref]
				if answer.Error != nil || len(answer.Frames) == 0 {
					wrong.add("%s: %v", each.ref, answer.Error)
					continue
				}
				if _, err := field(answer.Frames[0], dimensions[atoi(each.ref[1:])/5]); err != nil {
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
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := p.query(ctx, request(s, headers(), heavy(1), func() panel { q := heavy(2); q.ref = "B"; return q }()))
				done <- err
			}()
			time.Sleep(200 * time.Millisecond)
			select {
			case err := <-done:
				return fmt.Errorf("it was answered within 200 ms, too soon to be cancelled: %v", err)
			default:
			}
			cancel()
			if err := <-done; status.Code(err) != codes.Canceled {
				return fmt.Errorf("it says %v", err)
			}
			time.Sleep(400 * time.Millisecond)
			before, err := p.cpu()
			if err != nil {
				return err
			}
			time.Sleep(time.Second)
			after, err := p.cpu()
			if err != nil {
				return err
			}
			if used := after - before; used > 150*time.Millisecond {
				return fmt.Errorf("the plugin still used %s of a processor in the second after", used)
			}
			_, err = p.frames(s, headers(), panel{text: "queries", format: "table", from: now.Add(-day), to: now})
			return err
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
			once := time.Now()
			if _, err := p.frames(s, headers(), heavy(4)); err != nil {
				return err
			}
			alone := time.Since(once)
			before, err := p.cpu()
			if err != nil {
				return err
			}
			var wait sync.WaitGroup
			failures := make([]error, 12)
			for nth := range failures {
				wait.Go(func() { _, failures[nth] = p.frames(s, headers(), heavy(5)) })
			}
			wait.Wait()
			var wrong faults
			for _, err := range failures {
				wrong.err(err)
			}
			after, err := p.cpu()
			wrong.err(err)
			if used := after - before; used > 4*alone+time.Second {
				wrong.add("12 at once took %s of a processor, one alone %s", used, alone)
			}
			return wrong.all()
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

func atoi(digits string) int {
	number := 0
	for _, digit := range digits {
		number = number*10 + int(digit-'0')
	}
	return number
}
