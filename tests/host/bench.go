package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
)

// measurements are the parts of the bench, in order.
const measurements = "start,overhead,rate,rows"

// bench prints the plugin's own numbers, one a line, and that of its peer in the same run.
func (h *host) bench(parts string, rows int) error {
	if parts == "" {
		parts = measurements
	}
	for _, part := range strings.Split(parts, ",") {
		var err error
		switch part {
		case "start":
			err = h.benchStart()
		case "overhead":
			err = h.benchOverhead()
		case "rate":
			err = h.benchRate()
		case "rows":
			err = h.benchRows(rows)
		default:
			err = fmt.Errorf("found the measurement `%s`, expected some of %s", part, measurements)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

// tell prints a number beside what it should be.
func tell(what, number, limit string) { fmt.Printf("%-62s %12s   %s\n", what, number, limit) }

// benchStart measures from starting the process to the first health answer, and what it takes when nobody asks.
func (h *host) benchStart() error {
	s := of(h.history)
	took := []time.Duration{}
	for range 11 {
		began := time.Now()
		p, err := launch(h.binary, nil)
		if err != nil {
			return err
		}
		result, err := p.health.CheckHealth(context.Background(), &pluginv2.CheckHealthRequest{PluginContext: s.context()})
		took = append(took, time.Since(began))
		p.end()
		if err != nil {
			return err
		}
		if result.Status != pluginv2.CheckHealthResponse_OK {
			return fmt.Errorf("the health is %s: %s", result.Status, result.Message)
		}
	}
	tell("start to first health answer, median of 11", millis(quantile(took, 0.5)), "under 300 ms")
	tell("start to first health answer, worst", millis(quantile(took, 1)), "")

	p, err := launch(h.binary, nil)
	if err != nil {
		return err
	}
	defer p.end()
	if _, err := p.health.CheckHealth(context.Background(), &pluginv2.CheckHealthRequest{PluginContext: s.context()}); err != nil {
		return err
	}
	time.Sleep(3 * time.Second)
	idle, err := p.memory("RssAnon")
	if err != nil {
		return err
	}
	tell("idle memory after a health check (RssAnon)", mib(idle), "under 60 MB")
	return nil
}

// benchOverhead measures a small panel query from gRPC in to frame out: kept answers need no engine, and of fresh ones the
// engine's time, which the plugin counts itself, is taken off.
func (h *host) benchOverhead() error {
	p, err := launch(h.binary, nil)
	if err != nil {
		return err
	}
	defer p.end()
	s := of(h.history)
	q := panel{ref: "A", text: "queries by app", format: "table", from: now.Add(-day), to: now}
	once := func(head map[string]string) (time.Duration, error) {
		req := request(s, head, q)
		began := time.Now()
		resp, err := p.query(context.Background(), req)
		took := time.Since(began)
		if err != nil {
			return 0, err
		}
		if said := resp.Responses["A"].GetError(); said != "" {
			return 0, fmt.Errorf("%s", said)
		}
		return took, nil
	}
	kept := []time.Duration{}
	for nth := range 2200 {
		took, err := once(headers())
		if err != nil {
			return err
		}
		if nth >= 200 {
			kept = append(kept, took)
		}
	}
	tell("a small panel query, engine excluded: kept answer, median of 2000", millis(quantile(kept, 0.5)), "under 1 ms")
	tell("the same, p99", millis(quantile(kept, 0.99)), "")

	anew := headers()
	anew["X-Cache-Skip"] = "true"
	fresh := []time.Duration{}
	whole := []time.Duration{}
	for range 100 {
		before, err := p.metrics()
		if err != nil {
			return err
		}
		took, err := once(anew)
		if err != nil {
			return err
		}
		after, err := p.metrics()
		if err != nil {
			return err
		}
		b, _ := sum(before, "lakeapm_warehouse_seconds_total", "")
		a, _ := sum(after, "lakeapm_warehouse_seconds_total", "")
		whole = append(whole, took)
		fresh = append(fresh, took-time.Duration((a-b)*1e9))
	}
	tell("the same asked anew, less the engine's own time, median of 100", millis(quantile(fresh, 0.5)), "under 1 ms")
	tell("the same asked anew, with the engine", millis(quantile(whole, 0.5)), "")
	return nil
}

// benchRate asks 200 panel queries a second, 20 distinct ones of fixed ranges, for 30 s.
func (h *host) benchRate() error {
	p, err := launch(h.binary, nil)
	if err != nil {
		return err
	}
	defer p.end()
	s := of(h.history)
	panels := []panel{}
	for nth, question := range []string{"p95 latency by dag", "queries by app", "error_rate by dashboard", "cost by person", "avg queue_time by queue", "bytes_read by user", "errors by task", "p50 exec_time by model", "users by team", "max concurrency by queue"} {
		reach := []time.Duration{day, 7 * day}[nth%2]
		panels = append(panels,
			panel{ref: "A", text: question + " top 10", format: "table", from: now.Add(-reach), to: now},
			panel{ref: "A", text: question + " top 10", format: "time_series", from: now.Add(-reach), to: now, points: 200})
	}
	began := time.Now()
	for _, each := range panels {
		if _, err := p.frames(s, headers(), each); err != nil {
			return err
		}
	}
	tell(fmt.Sprintf("the %d panel queries once, one after the other", len(panels)), fmt.Sprintf("%.1f s", time.Since(began).Seconds()), "")

	const rate, seconds = 200, 30
	took := make([]time.Duration, rate*seconds)
	failures := make([]error, len(took))
	var wait sync.WaitGroup
	began = time.Now()
	for nth := range took {
		time.Sleep(time.Until(began.Add(time.Duration(nth) * time.Second / rate)))
		wait.Go(func() {
			req := request(s, headers(), panels[nth*7%len(panels)])
			asked := time.Now()
			resp, err := p.query(context.Background(), req)
			took[nth] = time.Since(asked)
			if err == nil && resp.Responses["A"].GetError() != "" {
				err = fmt.Errorf("%s", resp.Responses["A"].GetError())
			}
			failures[nth] = err
		})
	}
	wait.Wait()
	all := time.Since(began)
	wrong := 0
	for _, err := range failures {
		if err != nil {
			wrong++
		}
	}
	tell(fmt.Sprintf("%d panel queries a second for %d s: p99", rate, seconds), millis(quantile(took, 0.99)), "under 500 ms")
	tell("the same: median", millis(quantile(took, 0.5)), "")
	tell("the same: worst", millis(quantile(took, 1)), "")
	tell("the same: answered a second", fmt.Sprintf("%.0f", float64(len(took)-wrong)/all.Seconds()), "200")
	tell("the same: errors", fmt.Sprint(wrong), "0")
	heavy, err := p.memory("RssAnon")
	if err != nil {
		return err
	}
	tell("memory after it (RssAnon)", mib(heavy), "")
	return nil
}

// wide is a table of so many rows and 8 columns: the minutes of the 100 most used statements, with five figures.
func wide(rows int) panel {
	return panel{
		ref: "A", text: "queries, errors, avg latency, rows_read, bytes_read by app, fingerprint every 1m", format: "table",
		from: now.Add(-time.Duration(rows/100) * time.Minute), to: now,
	}
}

// benchRows measures one large table beside Grafana's own way from PostgreSQL with the same rows.
func (h *host) benchRows(rows int) error {
	s := of(h.history)
	s.config = map[string]string{"GF_SQL_ROW_LIMIT": fmt.Sprint(rows)}
	q := wide(rows)
	const runs = 3
	took, peaks := []time.Duration{}, []int64{}
	var size, engine float64
	var resp *pluginv2.QueryDataResponse
	for range runs {
		p, err := launch(h.binary, nil)
		if err != nil {
			return err
		}
		// The data source is open, as Grafana's is whose panel is looked at.
		if _, err := p.frames(s, headers(), panel{text: "queries", format: "table", from: q.from, to: now}); err != nil {
			p.end()
			return err
		}
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid()), []byte("5"), 0)
		before, err := p.metrics()
		if err != nil {
			p.end()
			return err
		}
		began := time.Now()
		resp, err = p.query(context.Background(), request(s, headers(), q))
		took = append(took, time.Since(began))
		if err == nil && resp.Responses["A"].GetError() != "" {
			err = fmt.Errorf("%s", resp.Responses["A"].GetError())
		}
		if err != nil {
			p.end()
			return err
		}
		peak, err := p.memory("VmHWM")
		if err != nil {
			p.end()
			return err
		}
		peaks = append(peaks, peak)
		after, err := p.metrics()
		p.end()
		if err != nil {
			return err
		}
		b, _ := sum(before, "lakeapm_warehouse_seconds_total", "")
		a, _ := sum(after, "lakeapm_warehouse_seconds_total", "")
		engine = a - b
	}
	frame, err := data.UnmarshalArrowFrame(resp.Responses["A"].Frames[0])
	if err != nil {
		return err
	}
	for _, each := range resp.Responses["A"].Frames {
		size += float64(len(each))
	}
	fmt.Printf("plugin: `%s`: %d rows x %d columns, %.0f MB of Arrow, %.2f s of it the engine's\n", q.text, frame.Rows(), len(frame.Fields), size/1e6, engine)
	peer, err := h.peer(frame, runs)
	if err != nil {
		return fmt.Errorf("the peer: %w", err)
	}
	mine, theirs := quantile(took, 0.5), quantile(peer.took, 0.5)
	slices.Sort(peaks)
	slices.Sort(peer.peaks)
	tell("plugin: QueryData as its client sees it, median of 3", seconds(mine), "")
	tell("Grafana's Go path: select, sqlutil, Arrow, median of 3", seconds(theirs), peer.server)
	tell("time, plugin / Go", fmt.Sprintf("%.2f", mine.Seconds()/theirs.Seconds()), "at most 0.5")
	tell("plugin: peak memory (VmHWM)", mib(peaks[runs/2]), "")
	tell("Grafana's Go path: peak memory (VmHWM)", mib(peer.peaks[runs/2]), "")
	tell("memory, plugin / Go", fmt.Sprintf("%.2f", float64(peaks[runs/2])/float64(peer.peaks[runs/2])), "at most 0.5")
	return nil
}

// quantile is the value that a share of all reach at most; the share is above 0.
func quantile(of []time.Duration, share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[int(math.Ceil(share*float64(len(sorted))))-1]
}

func millis(of time.Duration) string  { return fmt.Sprintf("%.2f ms", float64(of)/1e6) }
func seconds(of time.Duration) string { return fmt.Sprintf("%.2f s", of.Seconds()) }
func mib(bytes int64) string          { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
