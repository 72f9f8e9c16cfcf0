package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
)

const day = 24 * time.Hour

// round tells whether a bucket divides the next unit of the clock, or is whole days.
func round(step time.Duration) bool {
	switch {
	case step <= 0:
		return false
	case step >= day:
		return step%day == 0
	case step >= time.Hour:
		return day%step == 0
	case step >= time.Minute:
		return time.Hour%step == 0
	case step >= time.Second:
		return time.Minute%step == 0
	default:
		return time.Second%step == 0
	}
}

// answers checks the frames of panel queries.
func (h *host) answers() {
	s := of(h.history)
	// Whole days: a time series is asked for whole buckets.
	from, to := now.Add(-60*time.Hour), now.Add(-12*time.Hour)
	h.section("Panel queries: every frame read by Grafana's Go reader and the data plane's typed readers, values beside the command line's")
	h.shared(func(check func(string, func(*process) error)) {
		check("a time series is one timeseries-multi frame a group: labels, non-null times, one nullable number, the command line's values", func(p *process) error {
			question := "p95 latency by annotation.dag every 6h top 3"
			frames, err := p.frames(s, headers(), panel{text: question, format: "time_series", from: from, to: to})
			if err != nil {
				return err
			}
			found, err := series(frames)
			if err != nil {
				return err
			}
			judge, err := ask(h.binary, h.history, question, from, to)
			if err != nil {
				return err
			}
			return equalSeries(found, judge.series("dag"))
		})
		check("several dimensions are several labels; a missing value is `(none)`", func(p *process) error {
			question := "queries by app, user every 1d"
			frames, err := p.frames(s, headers(), panel{text: question, format: "time_series", from: from, to: to})
			if err != nil {
				return err
			}
			found, err := series(frames)
			if err != nil {
				return err
			}
			judge, err := ask(h.binary, h.history, question, from, to)
			if err != nil {
				return err
			}
			return equalSeries(found, judge.series("app", "user"))
		})
		check("a raw key is a bare label, and `annotation_<key>` beside the dimension of that name", func(p *process) error {
			frames, err := p.frames(s, headers(), panel{text: "queries by annotation.dag, dag every 1d", format: "time_series", from: from, to: to})
			if err != nil {
				return err
			}
			if _, err := series(frames); err != nil {
				return err
			}
			if found := label(frames[0].Fields[1].Labels); !strings.HasPrefix(found, "annotation_dag=") || !strings.Contains(found, ", dag=") {
				return fmt.Errorf("the labels are %s", found)
			}
			return nil
		})
		check("a time series without groups has no labels", func(p *process) error {
			frames, err := p.frames(s, headers(), panel{text: "errors every 1h", format: "time_series", from: from, to: to})
			if err != nil {
				return err
			}
			found, err := series(frames)
			if err != nil {
				return err
			}
			judge, err := ask(h.binary, h.history, "errors every 1h", from, to)
			if err != nil {
				return err
			}
			return equalSeries(found, judge.series())
		})
		check("without `every` the bucket is a round duration that keeps to maxDataPoints and is not under the interval", func(p *process) error {
			var wrong faults
			for _, each := range []struct {
				reach    time.Duration
				interval time.Duration
				points   int64
			}{{day, time.Minute, 100}, {day, 10 * time.Second, 1500}, {15 * day, 20 * time.Minute, 300}, {time.Hour, time.Second, 40}, {day, time.Hour, 1000}} {
				frames, err := p.frames(s, headers(), panel{text: "queries", format: "time_series", from: now.Add(-each.reach), to: now, interval: each.interval, points: each.points})
				if err != nil {
					return err
				}
				found, err := series(frames)
				if err != nil {
					return err
				}
				points := found["{}"]
				if len(points) < 2 || int64(len(points)) > each.points+1 {
					wrong.add("%d points of a range of %s, expected at most %d", len(points), each.reach, each.points)
					continue
				}
				step := points[1].at.Sub(points[0].at)
				if !round(step) || step < each.interval {
					wrong.add("the bucket of a range of %s is %s, the interval %s", each.reach, step, each.interval)
				}
			}
			return wrong.all()
		})
		check("calendar buckets are those of the query's time zone", func(p *process) error {
			frames, err := p.frames(s, headers(), panel{text: "queries every 1d", format: "time_series", zone: "America/New_York", from: from, to: to})
			if err != nil {
				return err
			}
			found, err := series(frames)
			if err != nil {
				return err
			}
			judge, err := ask(h.binary, h.history, "queries every 1d", from, to, "--tz", "America/New_York")
			if err != nil {
				return err
			}
			return equalSeries(found, judge.series())
		})
		check("values carry Grafana's unit and a display name, frames the SQL that was run and what it took", func(p *process) error {
			var wrong faults
			for question, unit := range map[string]string{"p95 latency by dag every 1d": "s", "bytes_read by dag every 1d": "bytes", "error_rate by app every 1d": "percentunit", "cost by app every 1d": "currencyUSD"} {
				frames, err := p.frames(s, headers(), panel{text: question, format: "time_series", from: from, to: to})
				if err != nil {
					return err
				}
				for _, frame := range frames {
					config := frame.Fields[1].Config
					if config == nil || config.Unit != unit && !(unit == "bytes" && strings.HasPrefix(config.Unit, "dec")) {
						wrong.add("`%s`: the unit is %+v, expected %s", question, config, unit)
						break
					}
					if config.DisplayNameFromDS == "" {
						wrong.add("`%s`: no display name", question)
						break
					}
				}
				if len(frames[0].Meta.Stats) == 0 {
					wrong.add("`%s`: no stats in the meta", question)
				}
				if !strings.Contains(frames[0].Meta.ExecutedQueryString, "select") {
					wrong.add("`%s`: the executed SQL is %q", question, frames[0].Meta.ExecutedQueryString)
				}
			}
			return wrong.all()
		})
		check("a table is one frame with the dimensions as text and the measures as nullable numbers, rows as the command line's", func(p *process) error {
			question := "queries, errors, error_rate by app, statement"
			frames, err := p.frames(s, headers(), panel{text: question, format: "table", from: from, to: to})
			if err != nil {
				return err
			}
			judge, err := ask(h.binary, h.history, question, from, to)
			if err != nil {
				return err
			}
			var wrong faults
			wrong.want("the number of frames", len(frames), 1)
			wrong.err(rows(frames[0], judge))
			wrong.want("the type", frames[0].Meta.Type, data.FrameTypeTable)
			return wrong.all()
		})
		check("one measure by group as a table is read as numbers by the data plane", func(p *process) error {
			question := "queries by app"
			frames, err := p.frames(s, headers(), panel{text: question, format: "table", from: from, to: to})
			if err != nil {
				return err
			}
			judge, err := ask(h.binary, h.history, question, from, to)
			if err != nil {
				return err
			}
			var wrong faults
			wrong.err(rows(frames[0], judge))
			if kind := frames[0].Meta.Type; kind == data.FrameTypeNumericLong {
				found, err := numbers(frames)
				wrong.err(err)
				wrong.err(equal(found, judge.groups("app")))
			} else if kind != data.FrameTypeTable {
				wrong.add("the type is %s", kind)
			}
			return wrong.all()
		})
		check("`vs` is now, before and change in a table, and the change in a time series", func(p *process) error {
			question := "queries by app vs 7d"
			frames, err := p.frames(s, headers(), panel{text: question, format: "table", from: from, to: to})
			if err != nil {
				return err
			}
			judge, err := ask(h.binary, h.history, question, from, to)
			if err != nil {
				return err
			}
			var wrong faults
			wrong.err(rows(frames[0], judge))
			frames, err = p.frames(s, headers(), panel{text: "queries vs 7d every 1d", format: "time_series", from: from, to: to})
			if err != nil {
				return err
			}
			found, err := series(frames)
			wrong.err(err)
			judge, err = ask(h.binary, h.history, "queries vs 7d every 1d", from, to)
			wrong.err(err)
			wrong.err(equalSeries(found, judge.series()))
			return wrong.all()
		})
		check("a list of queries keeps ids and hashes as text and times as times", func(p *process) error {
			question := "list queries where status = 'failed' limit 40"
			frames, err := p.frames(s, headers(), panel{text: question, format: "table", from: from, to: to})
			if err != nil {
				return err
			}
			var wrong faults
			for name, kinds := range map[string][]data.FieldType{
				"query_id":    {data.FieldTypeNullableString, data.FieldTypeString},
				"fingerprint": {data.FieldTypeNullableString, data.FieldTypeString},
				"text":        {data.FieldTypeNullableString, data.FieldTypeString},
				"started_at":  {data.FieldTypeNullableTime, data.FieldTypeTime},
				"ended_at":    {data.FieldTypeNullableTime},
				"latency":     {data.FieldTypeNullableFloat64},
				"rows_read":   {data.FieldTypeNullableInt64, data.FieldTypeNullableFloat64},
			} {
				each, err := field(frames[0], name)
				if err != nil {
					return err
				}
				if found := each.Type(); found != kinds[0] && found != kinds[len(kinds)-1] {
					wrong.add("%s is a %s, expected %s", name, found, kinds[0])
				}
			}
			judge, err := ask(h.binary, h.history, question, from, to)
			if err != nil {
				return err
			}
			wrong.err(rows(frames[0], judge))
			return wrong.all()
		})
		check("every kind of list and the values of a dimension are tables", func(p *process) error {
			var wrong faults
			for _, question := range []string{"list runs limit 10", "list tables limit 10", "list touches limit 10", "list queues limit 10", "values of dashboard limit 20"} {
				frames, err := p.frames(s, headers(), panel{text: question, format: "table", from: from, to: to})
				if err != nil {
					wrong.err(err)
					continue
				}
				judge, err := ask(h.binary, h.history, question, from, to)
				if err != nil {
					return err
				}
				if err := rows(frames[0], judge); err != nil {
					wrong.add("`%s`: %w", question, err)
				}
			}
			return wrong.all()
		})
		check("a list asked as logs is log-lines: times, bodies, unique ids, labels as JSON", func(p *process) error {
			frames, err := p.frames(s, headers(), panel{text: "list queries limit 50", format: "logs", from: from, to: to})
			if err != nil {
				return err
			}
			var wrong faults
			frame := frames[0]
			wrong.want("the type", frame.Meta.Type, data.FrameTypeLogLines)
			wrong.want("the preferred visualisation", frame.Meta.PreferredVisualization, data.VisTypeLogs)
			wrong.want("the rows", frame.Rows(), 50)
			for name, kind := range map[string]data.FieldType{"timestamp": data.FieldTypeTime, "body": data.FieldTypeString} {
				each, err := field(frame, name)
				if err != nil {
					return err
				}
				wrong.want("the type of "+name, each.Type(), kind)
			}
			id, err := field(frame, "id")
			if err != nil {
				return err
			}
			seen := map[any]bool{}
			for row := range id.Len() {
				value, _ := id.ConcreteAt(row)
				if seen[value] || value == "" {
					wrong.add("the id %v is there twice, or empty", value)
				}
				seen[value] = true
			}
			labels, err := field(frame, "labels")
			if err != nil {
				return err
			}
			for row := range labels.Len() {
				value, ok := labels.ConcreteAt(row)
				raw, isRaw := value.(json.RawMessage)
				var object map[string]any
				if !ok || !isRaw || json.Unmarshal(raw, &object) != nil {
					wrong.add("the labels of row %d are no JSON object: %v", row, value)
					break
				}
			}
			return wrong.all()
		})
		check("nothing found is one typed frame without fields that keeps the SQL, for time series, tables and logs", func(p *process) error {
			var wrong faults
			for _, each := range []struct {
				question, format string
				kinds            []data.FrameType
			}{
				{"p95 latency by dag where dag = 'no such dag'", "time_series", []data.FrameType{data.FrameTypeTimeSeriesMulti}},
				{"queries, errors by dag where dag = 'no such dag'", "table", []data.FrameType{data.FrameTypeTable}},
				{"list queries where dag = 'no such dag'", "table", []data.FrameType{data.FrameTypeTable}},
				{"list queries where dag = 'no such dag'", "logs", []data.FrameType{data.FrameTypeLogLines}},
			} {
				frames, err := p.frames(s, headers(), panel{text: each.question, format: each.format, from: from, to: to})
				if err != nil {
					wrong.err(err)
				} else if err := nothing(frames, each.kinds[0]); err != nil {
					wrong.add("`%s` as %s: %w", each.question, each.format, err)
				}
			}
			return wrong.all()
		})
		check("what was never collected is null and said in a notice", func(p *process) error {
			frames, err := p.frames(s, headers(), panel{text: "queries every 1d", format: "time_series", from: now.Add(-20 * day), to: now})
			if err != nil {
				return err
			}
			found, err := series(frames)
			if err != nil {
				return err
			}
			points := found["{}"]
			if len(points) < 20 || points[0].value != nil || points[len(points)-2].value == nil {
				return fmt.Errorf("the points are %v", points)
			}
			return noticed(frames, "not collected")
		})
		check("a dimension's field links to its drill-down", func(p *process) error {
			frames, err := p.frames(s, headers(), panel{text: "p95 latency, errors by dag", format: "table", from: from, to: to})
			if err != nil {
				return err
			}
			dag, err := field(frames[0], "dag")
			if err != nil {
				return err
			}
			if dag.Config == nil || len(dag.Config.Links) == 0 {
				return fmt.Errorf("the field dag has no link")
			}
			for _, link := range dag.Config.Links {
				if link.Title == "" || link.URL == "" && link.Internal == nil {
					return fmt.Errorf("a link without title or target: %+v", link)
				}
			}
			return nil
		})
		check("the row limit of Grafana cuts an answer and a notice says so", func(p *process) error {
			limited := s
			limited.config = map[string]string{"GF_SQL_ROW_LIMIT": "25"}
			frames, err := p.frames(limited, headers(), panel{text: "list queries limit 1000", format: "table", from: from, to: to})
			if err != nil {
				return err
			}
			var wrong faults
			wrong.want("the rows", frames[0].Rows(), 25)
			wrong.err(noticed(frames, "25"))
			return wrong.all()
		})
		check("asked by a server-side expression a table of one measure is numbers by group, which expressions need", func(p *process) error {
			expression := headers()
			expression["http_X-Grafana-From-Expr"] = "true"
			frames, err := p.frames(s, expression, panel{text: "p95 latency by app", format: "table", from: from, to: to})
			if err != nil {
				return err
			}
			found, err := numbers(frames)
			if err != nil {
				return err
			}
			judge, err := ask(h.binary, h.history, "p95 latency by app", from, to)
			if err != nil {
				return err
			}
			return equal(found, judge.groups("app"))
		})
		check("older panel queries are read: no schema version, no format", func(p *process) error {
			for _, raw := range []string{`{"query":"queries every 1d"}`, `{"query":"queries every 1d","schemaVersion":0,"refId":"A","hide":false,"key":"Q-1"}`} {
				frames, err := p.frames(s, headers(), panel{raw: []byte(raw), from: from, to: to})
				if err != nil {
					return err
				}
				if _, err := series(frames); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// noticed checks that a notice of any frame has words.
func noticed(frames data.Frames, words ...string) error {
	all := []string{}
	for _, frame := range frames {
		for _, notice := range frame.Meta.Notices {
			all = append(all, notice.Text)
			if says(notice.Text, words...) == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("no notice says %q; there are %q", words, all)
}

// rows compares a frame with the command line's rows.
func rows(frame *data.Frame, judge answer) error {
	var wrong faults
	wrong.want("the rows", frame.Rows(), len(judge.Rows))
	wrong.want("the fields", len(frame.Fields), len(judge.Columns))
	if len(wrong) > 0 {
		names := []string{}
		for _, each := range frame.Fields {
			names = append(names, each.Name)
		}
		wrong.add("the fields are %q", names)
		return wrong.all()
	}
	for nth, column := range judge.Columns {
		each := frame.Fields[nth]
		name := strings.ReplaceAll(column.Name, "annotation.", "")
		if each.Name != name && each.Name != column.Name {
			wrong.add("field %d is called %q, the command line's column %q", nth, each.Name, column.Name)
		}
		for row := range judge.Rows {
			if found, expected := each.At(row), judge.Rows[row][nth]; !match(each, row, expected) {
				wrong.add("row %d of %s is %v, the command line says %v", row, column.Name, found, expected)
				break
			}
		}
	}
	return wrong.all()
}

// match compares a value of a frame with one of the command line's JSON.
func match(in *data.Field, row int, expected any) bool {
	value, ok := in.ConcreteAt(row)
	switch expected := expected.(type) {
	case nil:
		return !ok || value == "" || value == "(none)"
	case float64:
		found, err := in.NullableFloatAt(row)
		return err == nil && same(found, &expected)
	case string:
		if at, isTime := value.(time.Time); isTime {
			instant, err := time.Parse(time.RFC3339Nano, expected)
			return err == nil && at.Equal(instant)
		}
		return value == expected
	default:
		return fmt.Sprint(value) == fmt.Sprint(expected)
	}
}
