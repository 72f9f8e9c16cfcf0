package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
)

// resourceOf calls a resource as the frontend does: GET with a query, or POST with a body.
func (p *process) resourceOf(s source, path string, query url.Values, body any) (int, any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req := &pluginv2.CallResourceRequest{
		PluginContext: s.context(), Path: path, Url: path, Method: "GET",
		Headers: map[string]*pluginv2.StringList{"Accept": {Values: []string{"application/json, text/plain, */*"}}},
	}
	if query != nil {
		req.Url = path + "?" + query.Encode()
	}
	if body != nil {
		req.Method = "POST"
		req.Headers["Content-Type"] = &pluginv2.StringList{Values: []string{"application/json"}}
		raw, ok := body.([]byte)
		if !ok {
			raw, _ = json.Marshal(body)
		}
		req.Body = raw
	}
	code, headers, raw, err := p.call(ctx, req)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", path, err)
	}
	if kind := headers["content-type"]; !strings.HasPrefix(kind, "application/json") {
		return 0, nil, fmt.Errorf("%s: content type %q, expected JSON: %d %s", path, kind, code, tail(string(raw)))
	}
	if len(raw) > 4<<20 {
		return 0, nil, fmt.Errorf("%s: %d bytes", path, len(raw))
	}
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return 0, nil, fmt.Errorf("%s: no JSON: %s", path, tail(string(raw)))
	}
	return code, value, nil
}

// got calls a resource that is answered.
func (p *process) got(s source, path string, query url.Values, body any) (any, error) {
	code, value, err := p.resourceOf(s, path, query, body)
	if err != nil {
		return nil, err
	}
	if code != 200 {
		return nil, fmt.Errorf("%s?%s: code %d: %s", path, query.Encode(), code, short(value))
	}
	return value, nil
}

// resources checks what the editors, the variables and the ad hoc filters ask.
func (h *host) resources() {
	s := of(h.history)
	reach := func(more ...string) url.Values {
		query := url.Values{"from": {fmt.Sprint(now.Add(-7 * day).UnixMilli())}, "to": {fmt.Sprint(now.UnixMilli())}}
		for nth := 0; nth+1 < len(more); nth += 2 {
			query.Set(more[nth], more[nth+1])
		}
		return query
	}
	h.section("Resources: JSON, bounded, with the command line's errors")
	h.shared(func(check func(string, func(*process) error)) {
		check("`measures` tells name, title, unit, class and aggregates of every measure", func(p *process) error {
			value, err := p.got(s, "measures", nil, nil)
			if err != nil {
				return err
			}
			var wrong faults
			list := array(value)
			if len(list) < 30 {
				wrong.add("%d measures: %s", len(list), short(value))
			}
			for _, each := range list {
				object, _ := each.(map[string]any)
				for _, key := range []string{"name", "title", "unit", "class", "aggregates"} {
					if _, ok := object[key]; !ok {
						wrong.add("no %s in %s", key, short(each))
					}
				}
				if _, ok := object["aggregates"].([]any); !ok {
					wrong.add("aggregates are no list in %s", short(each))
				}
			}
			return wrong.all()
		})
		check("`dimensions` tells every dimension", func(p *process) error {
			value, err := p.got(s, "dimensions", nil, nil)
			if err != nil {
				return err
			}
			return has(value, "dashboard", "dag", "person", "fingerprint")
		})
		check("`annotation-keys` tells the raw keys of a time", func(p *process) error {
			value, err := p.got(s, "annotation-keys", reach(), nil)
			if err != nil {
				return err
			}
			return has(value, "annotation.dag", "annotation.task")
		})
		check("`values` are ranked by use, with a condition, a prefix, and a limit", func(p *process) error {
			value, err := p.got(s, "values", reach("dimension", "dag"), nil)
			if err != nil {
				return err
			}
			judge, err := ask(h.binary, h.history, "values of dag limit 3", now.Add(-7*day), now)
			if err != nil {
				return err
			}
			var wrong faults
			list := texts(value)
			for nth, row := range judge.Rows {
				if expected, ok := row[0].(string); ok && (nth >= len(list) || list[nth] != expected) {
					wrong.add("value %d is not %s: %s", nth, expected, short(value))
				}
			}
			value, err = p.got(s, "values", reach("dimension", "dag", "prefix", "mar"), nil)
			wrong.err(err)
			if list := texts(value); len(list) == 0 || !strings.HasPrefix(list[0], "mar") {
				wrong.add("with the prefix `mar`: %s", short(value))
			}
			value, err = p.got(s, "values", reach("dimension", "dashboard", "where", "app = 'metabase'"), nil)
			wrong.err(err)
			for _, each := range texts(value) {
				if !strings.HasPrefix(each, "metabase:") && each != "(none)" {
					wrong.add("a dashboard of Metabase is %s", each)
				}
			}
			value, err = p.got(s, "values", reach("dimension", "fingerprint"), nil)
			wrong.err(err)
			if list := texts(value); len(list) == 0 || len(list) > 10_000 {
				wrong.add("%d values of fingerprint", len(list))
			}
			return wrong.all()
		})
		check("`values` takes prefixes and conditions as data: quotes, percent signs, comments", func(p *process) error {
			var wrong faults
			for _, prefix := range []string{"'", "' or 1=1 --", "%", "_", "\\", "*/", "äöü", strings.Repeat("x", 5000)} {
				value, err := p.got(s, "values", reach("dimension", "dag", "prefix", prefix), nil)
				if err != nil {
					wrong.err(err)
				} else if list := texts(value); len(list) != 0 {
					wrong.add("the prefix %q finds %v", prefix[:min(len(prefix), 20)], list[:min(len(list), 5)])
				}
			}
			return wrong.all()
		})
		check("`parse` and `format` are each other's reverse", func(p *process) error {
			var wrong faults
			for _, text := range []string{
				"p95 latency by annotation.dag", "queries, errors by app where dag in (any) and not signed top 5", "list queries where status = 'failed' order by latency desc limit 20",
				"attainment within 30s by dashboard every 1h min 20", "values of annotation.\"team name\" where app = 'looker' limit 9", "cost by team every 1M vs 1q",
			} {
				value, err := p.got(s, "parse", nil, map[string]any{"query": text})
				if err != nil {
					wrong.err(err)
					continue
				}
				object, _ := value.(map[string]any)
				ast, ok := object["ast"]
				if !ok {
					wrong.add("`%s`: no `ast`: %s", text, short(value))
					continue
				}
				value, err = p.got(s, "format", nil, map[string]any{"ast": ast})
				if err != nil {
					wrong.err(err)
					continue
				}
				object, _ = value.(map[string]any)
				again, _ := object["query"].(string)
				value, err = p.got(s, "parse", nil, map[string]any{"query": again})
				if err != nil {
					wrong.err(err)
					continue
				}
				object, _ = value.(map[string]any)
				if short(object["ast"]) != short(ast) {
					wrong.add("`%s` became `%s`", text, again)
				}
			}
			return wrong.all()
		})
		check("`parse` of a wrong text tells message, from, to and the nearest name, for the editor to underline", func(p *process) error {
			_, value, err := p.resourceOf(s, "parse", nil, map[string]any{"query": "latency by dashbord"})
			if err != nil {
				return err
			}
			object, _ := value.(map[string]any)
			wrongness, ok := object["error"].(map[string]any)
			if !ok {
				return fmt.Errorf("no `error`: %s", short(value))
			}
			var wrong faults
			wrong.want("nearest", wrongness["nearest"], "dashboard")
			wrong.want("from", wrongness["from"], 11)
			wrong.want("to", wrongness["to"], 19)
			message, _ := wrongness["message"].(string)
			wrong.err(says(message, "dashbord"))
			return wrong.all()
		})
		check("`complete` offers measures, dimensions, words and values at the cursor, each with what to insert and where", func(p *process) error {
			var wrong faults
			for _, each := range [][2]string{{"", "latency"}, {"p95 lat", "latency"}, {"p95 latency by da", "dashboard"}, {"p95 latency by dag wh", "where"}, {"queries where sta", "status"}, {"list q", "queries"}} {
				value, err := p.got(s, "complete", nil, map[string]any{"query": each[0], "cursor": len(each[0])})
				if err != nil {
					wrong.err(err)
					continue
				}
				found := false
				for _, offer := range array(value) {
					object, _ := offer.(map[string]any)
					label, _ := object["label"].(string)
					insert, _ := object["insert"].(string)
					from, isFrom := object["from"].(float64)
					to, isTo := object["to"].(float64)
					if label == "" || !isFrom || !isTo || from > to || int(to) > len(each[0]) || object["kind"] == nil {
						wrong.add("`%s`: the offer %s", each[0], short(offer))
						break
					}
					found = found || strings.Contains(insert, each[1])
				}
				if !found {
					wrong.add("`%s` offers no %s: %s", each[0], each[1], short(value))
				}
			}
			for _, cursor := range []int{-1, 1000, 1 << 40} {
				if _, _, err := p.resourceOf(s, "complete", nil, map[string]any{"query": "p95 ", "cursor": cursor}); err != nil {
					wrong.err(err)
				}
			}
			return wrong.all()
		})
		check("`sql` shows the statement without running it", func(p *process) error {
			body := map[string]any{"query": "p95 latency by dag", "from": now.Add(-day).UnixMilli(), "to": now.UnixMilli()}
			value, err := p.got(s, "sql", nil, body)
			if err != nil {
				return err
			}
			object, _ := value.(map[string]any)
			text, _ := object["sql"].(string)
			return says(text, "select", "percentile")
		})
		check("`tag-keys` and `tag-values` serve ad hoc filters as Grafana asks for them", func(p *process) error {
			value, err := p.got(s, "tag-keys", nil, nil)
			if err != nil {
				return err
			}
			var wrong faults
			wrong.err(has(value, "dag", "app"))
			for _, each := range array(value) {
				if object, ok := each.(map[string]any); !ok || object["text"] == nil {
					wrong.add("a key without `text`: %s", short(each))
					break
				}
			}
			value, err = p.got(s, "tag-values", reach("key", "app"), nil)
			wrong.err(err)
			wrong.err(has(value, "airflow", "metabase"))
			for _, each := range array(value) {
				if object, ok := each.(map[string]any); !ok || object["text"] == nil {
					wrong.add("a value without `text`: %s", short(each))
					break
				}
			}
			return wrong.all()
		})
		check("`rules-preview` tries rules on a pasted statement", func(p *process) error {
			value, err := p.got(s, "rules-preview", nil, map[string]any{
				"statements": []any{map[string]any{"sql": `select 1 /* {"app": "airflow", "dag": "nightly", "squad": "blue"} */`}},
				"rules":      []any{map[string]any{"dimension": "team", "keys": []string{"squad"}}},
			})
			if err != nil {
				return err
			}
			return says(short(value), "blue", "nightly", "team")
		})
		check("what is wrong gets the command line's sentence, as status 400 or as an `error` for the editor, an unknown resource 404, a wrong method 405 or 404", func(p *process) error {
			var wrong faults
			for _, each := range []struct {
				path  string
				query url.Values
				body  any
				code  int
				word  string
			}{
				{"no/such/resource", nil, nil, 404, ""},
				{"", nil, nil, 404, ""},
				{"../measures", nil, nil, 404, ""},
				{"parse", nil, []byte("{"), 400, ""},
				{"parse", nil, []byte("[]"), 400, ""},
				{"parse", nil, []byte("\xff\xfe"), 400, ""},
				{"format", nil, map[string]any{"ast": map[string]any{"no": "such"}}, 400, ""},
				{"format", nil, map[string]any{}, 400, ""},
				{"values", reach("dimension", "dashbord"), nil, 400, "dashboard"},
				{"values", reach(), nil, 400, "dimension"},
				{"values", url.Values{"dimension": {"dag"}, "from": {"yesterday"}, "to": {"x"}}, nil, 400, ""},
				{"values", reach("dimension", "dag", "where", "app ="), nil, 400, ""},
				{"sql", nil, map[string]any{"query": "latency by dashbord"}, 400, "dashboard"},
				{"tag-values", reach("key", "dashbord"), nil, 400, "dashboard"},
				{"rules-preview", nil, map[string]any{"statements": []any{map[string]any{"sql": "select 1"}}, "rules": []any{map[string]any{"dimension": "team", "pattern": "("}}}, 400, "pattern"},
				{"rules-preview", nil, []byte(strings.Repeat("[", 200_000)), 400, ""},
			} {
				code, value, err := p.resourceOf(s, each.path, each.query, each.body)
				if err != nil {
					wrong.err(err)
				} else if code == 200 && each.code == 400 && explained(value) {
					wrong.err(says(short(value), each.word))
				} else if code != each.code {
					wrong.add("%s %v: code %d, expected %d: %s", each.path, each.query, code, each.code, short(value))
				} else if err := says(short(value), each.word); err != nil {
					wrong.add("%s %v: %w", each.path, each.query, err)
				}
			}
			if code, _, err := p.resourceOf(s, "measures", nil, map[string]any{}); err != nil || code != 405 && code != 404 && code != 200 {
				wrong.add("POST measures: %d, %v", code, err)
			}
			return wrong.all()
		})
		check("a request of 5 MB is read, one of 10 MB to `rules-preview` does no harm", func(p *process) error {
			var wrong faults
			code, _, err := p.resourceOf(s, "parse", nil, map[string]any{"query": "queries", "note": strings.Repeat("x", 5<<20)})
			if err != nil || code != 200 && code != 413 && code != 400 {
				wrong.add("parse: %d, %v", code, err)
			}
			code, _, err = p.resourceOf(s, "rules-preview", nil, map[string]any{"statements": []any{map[string]any{"sql": "select '" + strings.Repeat("x", 10<<20) + "'"}}, "rules": []any{}})
			if err != nil || code >= 500 {
				wrong.add("rules-preview: %d, %v", code, err)
			}
			_, err = p.got(s, "measures", nil, nil)
			wrong.err(err)
			return wrong.all()
		})
	})
}

// explained tells whether an answer is an error that an editor shows beside the text: `{error: {message}}`.
func explained(value any) bool {
	object, _ := value.(map[string]any)
	inner, _ := object["error"].(map[string]any)
	message, _ := inner["message"].(string)
	return message != ""
}

// array is a list, or the only list in an object.
func array(value any) []any {
	switch value := value.(type) {
	case []any:
		return value
	case map[string]any:
		for _, each := range value {
			if list, ok := each.([]any); ok {
				return list
			}
		}
	}
	return nil
}

// texts are the values of a list of texts, or of objects with `text` or `value`.
func texts(value any) []string {
	found := []string{}
	for _, each := range array(value) {
		switch each := each.(type) {
		case string:
			found = append(found, each)
		case map[string]any:
			for _, key := range []string{"value", "text", "name"} {
				if text, ok := each[key].(string); ok {
					found = append(found, text)
					break
				}
			}
		}
	}
	return found
}

// has checks that a list has texts in it.
func has(value any, words ...string) error {
	list := texts(value)
	var wrong faults
	for _, word := range words {
		if place(list, word) < 0 {
			wrong.add("no %s in %s", word, short(value))
		}
	}
	return wrong.all()
}

func short(value any) string {
	raw, _ := json.Marshal(value)
	if len(raw) > 400 {
		return string(raw[:400]) + "…"
	}
	return string(raw)
}
