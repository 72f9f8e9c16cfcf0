package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// diagnostics checks the health check, the metrics and the log.
func (h *host) diagnostics() {
	h.section("Health, metrics, log")
	q := panel{text: "queries by app", format: "table", from: now.Add(-day), to: now}
	h.shared(func(check func(string, func(*process) error)) {
		check("the health check of a good data source is OK with one sentence, and its details are a JSON object", func(p *process) error {
			result, details, err := p.doctor(of(h.history))
			if err != nil {
				return err
			}
			var wrong faults
			wrong.want("the status", result.Status, pluginv2.CheckHealthResponse_OK)
			if len(result.Message) < 10 || strings.Contains(result.Message, "\n") {
				wrong.add("the message is %q, expected one sentence", result.Message)
			}
			if len(details) == 0 {
				wrong.add("the details are empty")
			}
			return wrong.all()
		})
		check("of a missing history it is an error that names the folder and what to do", func(p *process) error {
			s := of(filepath.Join(h.folder, "nowhere"))
			s.uid = "nowhere"
			result, _, err := p.doctor(s)
			if err != nil {
				return err
			}
			if result.Status != pluginv2.CheckHealthResponse_ERROR {
				return fmt.Errorf("it is %s: %s", result.Status, result.Message)
			}
			return says(result.Message+string(result.JsonDetails), "nowhere")
		})
		check("a health check without settings or user is answered, not failed", func(p *process) error {
			for _, ctx := range []*pluginv2.PluginContext{nil, {}} {
				if _, err := p.health.CheckHealth(context.Background(), &pluginv2.CheckHealthRequest{PluginContext: ctx}); err != nil {
					return err
				}
			}
			return nil
		})
		check("metrics are Prometheus text: panel queries, kept answers, rows, warehouse seconds, errors by kind, collector lag; they count", func(p *process) error {
			before, err := p.metrics()
			if err != nil {
				return err
			}
			s := of(h.history)
			for range 2 {
				if _, err := p.frames(s, headers(), q); err != nil {
					return err
				}
			}
			if _, err := p.one(s, headers(), panel{text: "latency by dashbord", from: q.from, to: q.to}); err != nil {
				return err
			}
			after, err := p.metrics()
			if err != nil {
				return err
			}
			var wrong faults
			for _, each := range []struct {
				name   string
				part   string // of a label's value
				grows  float64
				exists bool
			}{
				{name: "lakeapm_panel_queries_total", grows: 2},
				{name: "lakeapm_panel_queries_total", part: "kept", grows: 1},
				{name: "lakeapm_rows_total", grows: 1},
				{name: "lakeapm_warehouse_seconds_total", grows: 1e-6},
				{name: "lakeapm_panel_query_errors_total", part: "question", grows: 1},
				{name: "lakeapm_collector_lag_seconds", exists: true},
			} {
				now, there := sum(after, each.name, each.part)
				was, _ := sum(before, each.name, each.part)
				if !there {
					wrong.add("no metric %s %s; there are %v", each.name, each.part, keys(after))
				} else if !each.exists && now-was < each.grows {
					wrong.add("%s %s went from %v to %v", each.name, each.part, was, now)
				}
			}
			for name, family := range after {
				if family.GetHelp() == "" {
					wrong.add("%s has no help", name)
				}
			}
			return wrong.all()
		})
	}, "GF_PLUGIN_LOG_LEVEL=trace")
	for _, level := range []string{"trace", "debug", "info", "warn", "error"} {
		h.with(fmt.Sprintf("at the level %s every log line is flat JSON that Grafana's logger reads, none below the level", level), func(p *process) error {
			s := of(h.history)
			_, _ = p.one(s, headers(), q)
			_, _ = p.one(s, headers(), panel{text: "latency by dashbord", from: q.from, to: q.to})
			_, _, _ = p.doctor(s)
			p.end()
			return p.logged(level)
		}, "GF_PLUGIN_LOG_LEVEL="+level)
	}
	h.with("what is logged of a request carries the trace it is part of", func(p *process) error {
		trace := "0af7651916cd43dd8448eb211c80319c"
		ctx := withTrace(context.Background(), "00-"+trace+"-b7ad6b7169203331-01")
		if _, err := p.query(ctx, request(of(h.history), headers(), q)); err != nil {
			return err
		}
		p.end()
		if !strings.Contains(p.stderr.String(), trace) {
			return fmt.Errorf("no line has the trace; the log is: %s", tail(p.stderr.String()))
		}
		return nil
	}, "GF_PLUGIN_LOG_LEVEL=debug")
}

// doctor asks for the health and reads its details.
func (p *process) doctor(s source) (*pluginv2.CheckHealthResponse, map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	result, err := p.health.CheckHealth(ctx, &pluginv2.CheckHealthRequest{PluginContext: s.context(), Headers: headers()})
	if err != nil {
		return nil, nil, err
	}
	var details map[string]any
	if len(result.JsonDetails) > 0 {
		if err := json.Unmarshal(result.JsonDetails, &details); err != nil {
			return nil, nil, fmt.Errorf("the details are no JSON object, which Grafana answers with 500: %s", result.JsonDetails)
		}
	}
	return result, details, nil
}

// metrics reads the metrics as Prometheus does.
func (p *process) metrics() (map[string]*dto.MetricFamily, error) {
	result, err := p.health.CollectMetrics(context.Background(), &pluginv2.CollectMetricsRequest{})
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(bytes.NewReader(result.GetMetrics().GetPrometheus()))
}

func sum(families map[string]*dto.MetricFamily, name, part string) (float64, bool) {
	family, ok := families[name]
	if !ok {
		return 0, false
	}
	total, found := 0.0, false
	for _, metric := range family.Metric {
		has := part == ""
		for _, label := range metric.Label {
			has = has || strings.Contains(label.GetValue(), part)
		}
		if has {
			found = true
			total += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + metric.GetUntyped().GetValue()
		}
	}
	return total, found
}

// logged checks that the plugin's log is as go-plugin reads it, and not more than a level asks for.
func (p *process) logged(level string) error {
	levels := []string{"trace", "debug", "info", "warn", "error"}
	var wrong faults
	for nth, line := range p.lines() {
		if line == "" && nth == 0 {
			continue // nothing was written
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			wrong.add("no JSON: %s", tail(line))
			continue
		}
		if _, ok := fields["@message"].(string); !ok {
			wrong.add("no text in @message: %s", line)
		}
		at, _ := fields["@timestamp"].(string)
		if _, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", at); err != nil {
			wrong.add("the timestamp is not as go-plugin reads it: %s", line)
		}
		for key, value := range fields {
			switch value.(type) {
			case map[string]any, []any:
				wrong.add("%s is not flat: %s", key, line)
			}
		}
		found, _ := fields["@level"].(string)
		if place(levels, found) < place(levels, level) || place(levels, found) < 0 {
			wrong.add("a line of the level %q: %s", found, line)
		}
		if len(line) > 60_000 {
			wrong.add("a line of %d characters, which go-plugin splits", len(line))
		}
	}
	return wrong.all()
}

func place(of []string, word string) int {
	for nth, each := range of {
		if each == word {
			return nth
		}
	}
	return -1
}
