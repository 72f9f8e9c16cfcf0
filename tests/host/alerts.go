package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
)

// rule is a panel query as the alerting engine sends it: what was saved, no browser, its own defaults.
func rule(text, format string, from, to time.Time) panel {
	return panel{text: text, format: format, from: from, to: to, interval: time.Second, points: 43200}
}

// alerts checks what alert rules get.
func (h *host) alerts() {
	s := of(h.history)
	s.user = &pluginv2.User{Login: "grafana_scheduler", Name: "grafana_scheduler", Role: "Admin"}
	from := now.Add(-day)
	h.section("Alert rules: FromAlert, no browser, intervalMs 1000, maxDataPoints 43200")
	h.shared(func(check func(string, func(*process) error)) {
		check("`p95 latency by annotation.dag` is one number per DAG with the label dag, over the whole range, whatever the format", func(p *process) error {
			question := "p95 latency by annotation.dag"
			judge, err := ask(h.binary, h.history, question, from, now)
			if err != nil {
				return err
			}
			var wrong faults
			for _, format := range []string{"time_series", "table", "logs", ""} {
				frames, err := p.frames(s, alert(), rule(question, format, from, now))
				if err != nil {
					wrong.add("format %q: %w", format, err)
					continue
				}
				found, err := numbers(frames)
				wrong.err(err)
				if err := equal(found, judge.groups("dag")); err != nil {
					wrong.add("format %q: %w", format, err)
				}
				if len(found) < 10 {
					wrong.add("format %q: %d numbers", format, len(found))
				}
			}
			return wrong.all()
		})
		check("a range that reaches beyond what is collected is an error that says so, also where nothing of it is collected", func(p *process) error {
			var wrong faults
			for _, question := range []string{"p95 latency by annotation.dag", "errors", "queries every 1h"} {
				for _, reach := range [][2]time.Duration{{-time.Hour, 30 * time.Minute}, {-time.Hour, 6 * time.Minute}, {2 * time.Hour, 3 * time.Hour}} {
					answer, err := p.one(s, alert(), rule(question, "time_series", now.Add(reach[0]), now.Add(reach[1])))
					if err != nil {
						wrong.err(err)
					} else if err := failed(answer, "collected"); err != nil {
						wrong.add("`%s` from %s to %s of now: %w", question, reach[0], reach[1], err)
					}
				}
			}
			return wrong.all()
		})
		check("where the collector has stopped half a day ago, a rule over the last hour is an error, and one over the day before is answered", func(p *process) error {
			stopped := filepath.Join(h.folder, "stopped")
			if err := os.CopyFS(stopped, os.DirFS(h.history)); err != nil {
				return err
			}
			for _, day := range []string{"2026-11-20", "2026-11-21"} {
				if err := os.RemoveAll(filepath.Join(stopped, day)); err != nil {
					return err
				}
			}
			behind := s
			behind.uid, behind.json = "stopped", map[string]any{"history": stopped}
			var wrong faults
			for _, question := range []string{"errors", "p95 latency by dag"} {
				answer, err := p.one(behind, alert(), rule(question, "time_series", now.Add(-time.Hour), now))
				if err != nil {
					return err
				}
				if err := failed(answer, "collected", "2026-11-20"); err != nil {
					wrong.add("`%s`: %w", question, err)
				}
				_, err = p.frames(behind, alert(), rule(question, "time_series", now.Add(-36*time.Hour), now.Add(-12*time.Hour)))
				wrong.err(err)
			}
			return wrong.all()
		})
		check("where a file of the history is damaged, a rule over its time is an error or the whole number, never a smaller one", func(p *process) error {
			damaged := filepath.Join(h.folder, "damaged")
			if err := os.CopyFS(damaged, os.DirFS(h.history)); err != nil {
				return err
			}
			files, err := filepath.Glob(filepath.Join(damaged, "2026-11-19", "query-*.parquet"))
			if err != nil || len(files) == 0 {
				return fmt.Errorf("the day has no file of queries: %v", err)
			}
			raw, err := os.ReadFile(files[0])
			if err != nil {
				return err
			}
			raw[len(raw)/2] ^= 0x10
			if err := os.WriteFile(files[0], raw, 0o644); err != nil {
				return err
			}
			bad := s
			bad.uid, bad.json = "damaged", map[string]any{"history": damaged}
			var wrong faults
			answer, err := p.one(bad, alert(), rule("queries", "time_series", now.Add(-2*day), now))
			if err != nil {
				return err
			}
			if answer.Error == nil {
				wrong.add("it is answered")
			} else {
				wrong.err(failed(answer))
			}
			frames, err := p.one(bad, headers(), panel{text: "queries by app", format: "table", from: now.Add(-2 * day), to: now})
			if err != nil {
				return err
			}
			if frames.Error == nil {
				wrong.err(noticed(frames.Frames, "2026-11-19|damage|left out|disagree|file"))
			}
			return wrong.all()
		})
		check("a rule's statement names the rule, so that the warehouse's own log tells who asked", func(p *process) error {
			frames, err := p.frames(s, alert(), rule("errors by app", "time_series", from, now))
			if err != nil {
				return err
			}
			return says(frames[0].Meta.ExecutedQueryString, `"app":"lakeapm"`, `"rule":"rule1"`, `"user":"grafana_scheduler"`)
		})
		check("a range that begins before anything was collected is an error that says so", func(p *process) error {
			answer, err := p.one(s, alert(), rule("queries", "time_series", now.Add(-20*day), now))
			if err != nil {
				return err
			}
			return failed(answer, "collected")
		})
		check("a range that ends within the allowed lag of five minutes is answered", func(p *process) error {
			_, err := p.frames(s, alert(), rule("queries by app", "time_series", now.Add(-time.Hour), now.Add(4*time.Minute)))
			return err
		})
		minute, err := h.quiet()
		check("a collected range without queries is no data, not zero or NaN", func(p *process) error {
			if err != nil {
				return err
			}
			var wrong faults
			for _, question := range []string{"p95 latency by annotation.dag", "errors by app", "error_rate by app", "p95 latency", "error_rate"} {
				frames, err := p.frames(s, alert(), rule(question, "time_series", minute, minute.Add(time.Minute)))
				if err != nil {
					wrong.err(err)
				} else if err := nothing(frames, data.FrameTypeNumericLong); err != nil {
					wrong.add("`%s`: %w", question, err)
				}
			}
			return wrong.all()
		})
		check("ungrouped errors, and every ungrouped additive measure, are 0 there", func(p *process) error {
			if err != nil {
				return err
			}
			var wrong faults
			for _, question := range []string{"errors", "queries", "rows_read"} {
				frames, err := p.frames(s, alert(), rule(question, "time_series", minute, minute.Add(time.Minute)))
				if err != nil {
					wrong.err(err)
					continue
				}
				found, err := numbers(frames)
				wrong.err(err)
				zero := 0.0
				if err := equal(found, map[string]*float64{"{}": &zero}); err != nil {
					wrong.add("`%s`: %w", question, err)
				}
			}
			return wrong.all()
		})
		check("with `every` an alert gets whole, collected buckets only, as timeseries-multi", func(p *process) error {
			frames, err := p.frames(s, alert(), rule("queries every 1h", "time_series", now.Add(-3*time.Hour-30*time.Minute), now.Add(3*time.Minute)))
			if err != nil {
				return err
			}
			found, err := series(frames)
			if err != nil {
				return err
			}
			points := found["{}"]
			if len(points) != 3 || !points[0].at.Equal(now.Add(-3*time.Hour)) || !points[2].at.Equal(now.Add(-time.Hour)) {
				return fmt.Errorf("the buckets are %v, expected those of 09:00, 10:00 and 11:00", points)
			}
			return nil
		})
		check("several measures in one alert are refused: their instances would have the same labels", func(p *process) error {
			return p.refused(s, alert(), rule("queries, errors by app", "time_series", from, now), "2 measures|several")
		})
		check("a row limit that cuts an alert's groups is an error, never fewer instances", func(p *process) error {
			limited := s
			limited.config = map[string]string{"GF_SQL_ROW_LIMIT": "3"}
			answer, err := p.one(limited, alert(), rule("p95 latency by annotation.dag", "time_series", from, now))
			if err != nil {
				return err
			}
			return failed(answer, "3")
		})
		check("a template variable in a saved rule is an error that names it, since no browser fills it", func(p *process) error {
			return p.refused(s, alert(), rule("errors where dag = '$dag'", "time_series", from, now), "$dag")
		})
		check("the rule editor's preview, with a browser's headers as well, gets the same numbers", func(p *process) error {
			both := headers()
			for key, value := range alert() {
				both[key] = value
			}
			frames, err := p.frames(s, both, rule("p95 latency by annotation.dag", "time_series", from, now))
			if err != nil {
				return err
			}
			_, err = numbers(frames)
			return err
		})
	})
}

// failed checks an error of any status that is a number Grafana knows, with a source.
func failed(answer backend.DataResponse, words ...string) error {
	if answer.Error == nil {
		return fmt.Errorf("answered with %d frames, expected an error that says %q", len(answer.Frames), words)
	}
	var wrong faults
	if answer.Status < 400 || answer.Status > 599 {
		wrong.add("the status is %d", answer.Status)
	}
	if answer.ErrorSource != backend.ErrorSourceDownstream && answer.ErrorSource != backend.ErrorSourcePlugin {
		wrong.add("the error source is %q", answer.ErrorSource)
	}
	wrong.err(says(answer.Error.Error(), words...))
	return wrong.all()
}

// quiet is the start of a minute that is collected and in which no query ended.
func (h *host) quiet() (time.Time, error) {
	judge, err := ask(h.binary, h.history, "queries where statement != '' every 1m", now.Add(-6*time.Hour), now)
	if err != nil {
		return time.Time{}, err
	}
	for at, points := 0, judge.series()["{}"]; at < len(points); at++ {
		if value := points[at].value; value != nil && *value == 0 {
			return points[at].at, nil
		}
	}
	return time.Time{}, fmt.Errorf("every minute of the demo has queries")
}
