package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// mistakes checks what wrong and hostile panel queries get.
func (h *host) mistakes() {
	s := of(h.history)
	from := now.Add(-day)
	good := func(ref string) panel {
		return panel{ref: ref, text: "queries by app", format: "table", from: from, to: now}
	}
	h.section("Mistakes: the panel query fails alone, with status 400 and the source that Grafana's SDK gives to 400")
	h.shared(func(check func(string, func(*process) error)) {
		check("one bad panel query fails alone and names what was found, where, and the nearest name; those beside it are answered", func(p *process) error {
			bad := panel{ref: "B", text: "latency by dashbord", format: "table", from: from, to: now}
			broken := panel{ref: "C", raw: []byte(`{"query": "queries`), from: from, to: now}
			resp, err := p.query(context.Background(), request(s, headers(), good("A"), bad, broken, good("D")))
			if err != nil {
				return fmt.Errorf("the whole request failed: %w", err)
			}
			read, err := decode(resp)
			if err != nil {
				return err
			}
			var wrong faults
			wrong.want("the answers", keys(read), []string{"A", "B", "C", "D"})
			for _, ref := range []string{"A", "D"} {
				if read[ref].Error != nil || read[ref].Status != 200 || len(read[ref].Frames) == 0 {
					wrong.add("%s: status %d, %v", ref, read[ref].Status, read[ref].Error)
				}
			}
			wrong.err(mistake(read["B"], "dashbord", "nearest", "dashboard", "12"))
			wrong.err(mistake(read["C"], "JSON"))
			return wrong.all()
		})
		check("malformed JSON of any kind is told as that", func(p *process) error {
			var wrong faults
			for _, raw := range []string{"", "{", "null", "[]", `"queries"`, "7", "\x00\xff\xfe", `{"query": 7}`, `{"query": ["queries"]}`, `{"query": "queries", "format": "pie"}`,
				`{"query": "queries", "timezone": "Mars/Olympus"}`, `{"query": "queries", "schemaVersion": "x"}`, `{"query":"queries","schemaVersion":1e999}`, strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000)} {
				name := raw[:min(len(raw), 40)]
				if raw == "" {
					raw = " "
				}
				if err := p.refused(s, headers(), panel{raw: []byte(raw), text: name, from: from, to: now}); err != nil {
					wrong.add("%q: %w", name, err)
				}
			}
			return wrong.all()
		})
		check("an empty panel query is told what one looks like", func(p *process) error {
			return p.refused(s, headers(), panel{raw: []byte(`{"refId":"A"}`), from: from, to: now}, "expected")
		})
		check("a schema version of the future is read as far as it is known, with a notice", func(p *process) error {
			frames, err := p.frames(s, headers(), panel{raw: []byte(`{"query":"queries","schemaVersion":99,"format":"table","more":{"a":[1,null]}}`), from: from, to: now})
			if err != nil {
				return err
			}
			return noticed(frames, "99")
		})
		check("a template variable that nobody filled is named: $var, ${var}, ${var:csv}, [[var]], as a value, a list, a dimension, a number", func(p *process) error {
			var wrong faults
			for question, word := range map[string]string{
				"queries where dag = '$dag'":                 "$dag",
				"queries where dag in ($dag)":                "$dag",
				"queries where dag in (${dag:sqlstring})":    "dag",
				"queries by ${dimension}":                    "dimension",
				"p95 latency by $dimension every 1h":         "$dimension",
				"queries where app = '[[app]]'":              "app",
				"queries where latency > $limit":             "$limit",
				"queries by app top $n":                      "$n",
				"queries where dag = 'a' and app = '${app}'": "app",
			} {
				if err := p.refused(s, headers(), panel{text: question, format: "table", from: from, to: now}, word, "variable"); err != nil {
					wrong.add("`%s`: %w", question, err)
				}
			}
			return wrong.all()
		})
		check("a dollar that is no variable stays what it is: the end of a pattern, a price", func(p *process) error {
			var wrong faults
			for _, question := range []string{"queries where error !~ 'timeout$'", "queries where text ~ '^select' and text !~ '(a|b)$'", "queries where text not like '%$5%'"} {
				if _, err := p.frames(s, headers(), panel{text: question, format: "table", from: from, to: now}); err != nil {
					wrong.err(err)
				}
			}
			return wrong.all()
		})
		check("a range that ends before it begins, or is empty, is refused", func(p *process) error {
			var wrong faults
			wrong.err(p.refused(s, headers(), panel{text: "queries", format: "table", from: now, to: from}))
			wrong.err(p.refused(s, headers(), panel{text: "queries", format: "table", from: now, to: now}))
			return wrong.all()
		})
		check("times out of any calendar are refused, and so is a missing range", func(p *process) error {
			var wrong faults
			for _, reach := range [][2]int64{{math.MinInt64, math.MaxInt64}, {math.MaxInt64 - 1, math.MaxInt64}, {math.MinInt64, 0}, {0, math.MaxInt64}, {-9e15, 9e15}} {
				q := good("A").proto()
				q.TimeRange = &pluginv2.TimeRange{FromEpochMS: reach[0], ToEpochMS: reach[1]}
				wrong.err(p.only(s, q, fmt.Sprint(reach)))
			}
			q := good("A").proto()
			q.TimeRange = nil
			wrong.err(p.only(s, q, "no range"))
			return wrong.all()
		})
		check("intervals and points out of range are no harm: 0, negative, huge", func(p *process) error {
			var wrong faults
			for _, each := range [][2]int64{{0, 0}, {-1, -1}, {math.MaxInt64, math.MaxInt64}, {1, math.MaxInt64}, {math.MinInt64, 1}} {
				q := panel{ref: "A", text: "queries", format: "time_series", from: from, to: now}.proto()
				q.IntervalMS, q.MaxDataPoints = each[0], each[1]
				resp, err := p.query(context.Background(), &pluginv2.QueryDataRequest{PluginContext: s.context(), Queries: []*pluginv2.DataQuery{q}})
				if err != nil {
					wrong.add("interval and points %v: %w", each, err)
					continue
				}
				read, err := decode(resp)
				if err != nil {
					wrong.err(err)
				} else if read["A"].Error == nil {
					if _, err := series(read["A"].Frames); err != nil {
						wrong.add("interval and points %v: %w", each, err)
					}
				} else {
					wrong.err(mistake(read["A"]))
				}
			}
			return wrong.all()
		})
		check("several measures as a time series are refused with the way out; a list as a time series and figures as logs are tables", func(p *process) error {
			var wrong faults
			wrong.err(p.refused(s, headers(), panel{text: "queries, errors by app", format: "time_series", from: from, to: now}, "table"))
			for _, each := range [][2]string{{"list queries limit 5", "time_series"}, {"queries by app", "logs"}} {
				frames, err := p.frames(s, headers(), panel{text: each[0], format: each[1], from: from, to: now})
				if err != nil {
					wrong.err(err)
				} else if kind := frames[0].Meta.Type; kind != data.FrameTypeTable {
					wrong.add("`%s` as %s is %s", each[0], each[1], kind)
				}
			}
			return wrong.all()
		})
		check("a refId may be anything: empty, a sentence, control characters", func(p *process) error {
			var wrong faults
			for _, ref := range []string{"", "a whole sentence, äöü", "\x01\"\\\n", "📈"} {
				resp, err := p.query(context.Background(), request(s, headers(), good(ref)))
				if err != nil {
					wrong.err(err)
					continue
				}
				read, err := decode(resp)
				wrong.err(err)
				if each, ok := read[ref]; !ok || each.Error != nil {
					wrong.add("refId %q: %v, the answers are for %q", ref, each.Error, keys(read))
				}
			}
			return wrong.all()
		})
		check("a request without panel queries, without headers or without a context is no harm", func(p *process) error {
			var wrong faults
			resp, err := p.query(context.Background(), &pluginv2.QueryDataRequest{PluginContext: s.context()})
			if err != nil || len(resp.Responses) != 0 {
				wrong.add("no panel queries: %v, %v", resp, err)
			}
			resp, err = p.query(context.Background(), &pluginv2.QueryDataRequest{PluginContext: s.context(), Queries: []*pluginv2.DataQuery{good("A").proto()}})
			if err != nil || resp.Responses["A"].GetError() != "" {
				wrong.add("no headers: %v, %v", resp.GetResponses()["A"].GetError(), err)
			}
			resp, err = p.query(context.Background(), &pluginv2.QueryDataRequest{Queries: []*pluginv2.DataQuery{good("A").proto()}})
			if err == nil && resp.Responses["A"].GetError() == "" {
				wrong.add("no context: answered")
			}
			return wrong.all()
		})
		check("a request of 5 MB is read, and what the panel query does not know in it is ignored", func(p *process) error {
			raw, _ := json.Marshal(map[string]any{"query": "queries by app", "format": "table", "note": strings.Repeat("x", 5<<20)})
			_, err := p.frames(s, headers(), panel{raw: raw, from: from, to: now})
			return err
		})
		check("a panel query of 10 MB is refused with the limit; the one beside it is answered", func(p *process) error {
			long := panel{ref: "B", text: "queries where dag = '" + strings.Repeat("x", 10<<20) + "'", format: "table", from: from, to: now}
			resp, err := p.query(context.Background(), request(s, headers(), good("A"), long))
			if err != nil {
				return fmt.Errorf("the whole request failed: %w", err)
			}
			read, err := decode(resp)
			if err != nil {
				return err
			}
			var wrong faults
			if read["A"].Error != nil {
				wrong.err(read["A"].Error)
			}
			wrong.err(mistake(read["B"], "64 KiB|65536"))
			return wrong.all()
		})
		check("a request beyond 16 MiB is refused by gRPC, and the plugin lives", func(p *process) error {
			long := panel{ref: "A", raw: bytes.Repeat([]byte("x"), 17<<20), from: from, to: now}
			_, err := p.query(context.Background(), request(s, headers(), long))
			if code := status.Code(err); code != codes.ResourceExhausted && code != codes.OutOfRange {
				return fmt.Errorf("it says %v", err)
			}
			_, err = p.frames(s, headers(), good("A"))
			return err
		})
		check("200 nested conditions, 10 000 values and a pattern that blows up are answered or refused, never a dead process", func(p *process) error {
			var wrong faults
			values := make([]string, 10_001)
			for nth := range values {
				values[nth] = fmt.Sprint("'", nth, "'")
			}
			for _, question := range []string{
				"queries where " + strings.Repeat("(", 5000) + "dag = 'a'" + strings.Repeat(")", 5000),
				"queries where " + strings.Repeat("not ", 10_000) + "dag = 'a'",
				"queries where dag = 'a'" + strings.Repeat(" or dag = 'a'", 400),
				"queries where dag in (" + strings.Join(values, ",") + ")",
				"queries where text ~ '((a{1,1000}){1,1000}){1,1000}'",
				"queries every 1ms",
			} {
				if err := p.refused(s, headers(), panel{text: question, format: "table", from: from, to: now}); err != nil {
					wrong.add("`%s…`: %w", question[:min(len(question), 60)], err)
				}
			}
			if _, err := p.frames(s, headers(), panel{text: "queries where text !~ '(a+)+$'", format: "table", from: from, to: now}); err != nil {
				wrong.err(err)
			}
			return wrong.all()
		})
		check("more series than a browser draws are cut, and a notice says how many there are", func(p *process) error {
			question := "queries by run, fingerprint, task, chart, trace, error, reads, writes, table, user, client, label, person every 1w"
			judge, err := ask(h.binary, h.history, strings.TrimSuffix(question, " every 1w"), now.Add(-14*day), now)
			if err != nil {
				return err
			}
			frames, err := p.frames(s, headers(), panel{text: question, format: "time_series", from: now.Add(-14 * day), to: now})
			if err != nil {
				return err
			}
			if len(judge.Rows) <= 10_000 {
				return fmt.Errorf("the demo has only %d groups", len(judge.Rows))
			}
			if len(frames) > 10_000 {
				return fmt.Errorf("%d series", len(frames))
			}
			if _, err := series(frames); err != nil {
				return err
			}
			return noticed(frames, "series|group")
		})
		check("a mode that needs a warehouse says which setting is missing", func(p *process) error {
			answer, err := p.one(s, headers(), panel{text: "queries", format: "table", mode: "live", from: from, to: now})
			if err != nil {
				return err
			}
			return failed(answer, "warehouse|live")
		})
		check("after all of this the same process answers", func(p *process) error {
			_, err := p.frames(s, headers(), good("A"))
			return err
		})
	})
}

// only asks one panel query that is to be refused.
func (p *process) only(s source, q *pluginv2.DataQuery, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	resp, err := p.query(ctx, &pluginv2.QueryDataRequest{PluginContext: s.context(), Headers: headers(), Queries: []*pluginv2.DataQuery{q}})
	if err != nil {
		return fmt.Errorf("%s: the whole request failed: %w", name, err)
	}
	read, err := decode(resp)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := mistake(read[q.RefId]); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
