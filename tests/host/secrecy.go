package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
)

// secrets are the values that nobody may see, by what they are.
var secrets = map[string]string{
	"password":             "Tr0mbone\"quince",
	"aws_access_key":       "AKIAQUINCE0EXAMPLE",
	"aws_secret_key":       "wJalr/quince+EXAMPLEKEY",
	"people_key":           "pepper-of-quince",
	"someday":              "unknown-quince-secret",
	"the URL":              "url-quince-secret",
	"the authorisation":    "bearer-quince-token",
	"the cookie":           "cookie-quince-session",
	"the identity token":   "eyJhbGciOiJub25lIn0.quince.sig",
	"settings of no field": "misplaced-quince-secret",
}

// secrecy checks that secrets are nowhere.
func (h *host) secrecy() {
	h.section("Secrets")
	for _, level := range []string{"trace", "debug", "info", "warn", "error"} {
		h.with(fmt.Sprintf("at the level %s no secret stands in the log or in any answer, whichever service is called and however it fails", level), func(p *process) error {
			for _, raw := range []any{
				map[string]any{"history": h.history, "password": secrets["settings of no field"]},
				map[string]any{"history": h.history, "limits": secrets["settings of no field"]},
				map[string]any{"history": 7, "auth": map[string]any{"password": secrets["settings of no field"]}},
				map[string]any{"history": filepath.Join(h.folder, "nowhere")},
				map[string]any{"warehouse": "redshift", "host": "127.0.0.1", "port": 1, "user": "ana", "database": "dev", "history": h.history},
				map[string]any{"warehouse": "redshift", "host": "127.0.0.1", "port": 1, "user": "ana", "database": "dev"},
				[]byte(`{"history": "` + secrets["settings of no field"]),
			} {
				s := of(h.history)
				s.json = raw
				s.uid = "secret"
				s.updated = time.Now().UnixNano()
				s.url = "postgres://ana:" + secrets["the URL"] + "@127.0.0.1:1/dev"
				s.secrets = map[string]string{}
				for _, key := range []string{"password", "aws_access_key", "aws_secret_key", "people_key", "someday"} {
					s.secrets[key] = secrets[key]
				}
				head := headers()
				head["Authorization"] = "Bearer " + secrets["the authorisation"]
				head["http_Authorization"] = head["Authorization"]
				head["http_X-Id-Token"] = secrets["the identity token"]
				head["http_X-Grafana-Id"] = secrets["the identity token"]
				head["Cookie"] = "grafana_session=" + secrets["the cookie"]
				head["http_Cookie"] = head["Cookie"]
				p.everything(s, head)
			}
			p.end()
			return errors.Join(
				leaks("the plugin's log", p.stderr.String()),
				leaks("Grafana's log", p.grafana.String()),
				leaks("an answer", p.answers.String()),
				p.logged(level),
			)
		}, "GF_PLUGIN_LOG_LEVEL="+level, "RUST_LOG=trace", "RUST_BACKTRACE=full")
	}
}

// everything calls every service of a data source, rightly and wrongly; how it is answered is not looked at.
func (p *process) everything(s source, head map[string]string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	values := map[string]*pluginv2.StringList{}
	for key, value := range head {
		values[strings.TrimPrefix(key, "http_")] = &pluginv2.StringList{Values: []string{value}}
	}
	from := now.Add(-time.Hour)
	_, _ = p.query(ctx, request(s, head,
		panel{ref: "A", text: "queries by app", format: "table", from: from, to: now},
		panel{ref: "B", text: "latency by dashbord", from: from, to: now},
		panel{ref: "C", raw: []byte("{"), from: from, to: now},
		panel{ref: "D", text: "queries where dag = '$dag'", from: from, to: now},
		panel{ref: "E", text: "queries", mode: "live", from: from, to: now},
		panel{ref: "F", text: "list queries limit 3", format: "logs", from: from, to: now},
	))
	alerting := alert()
	for key, value := range head {
		alerting[key] = value
	}
	_, _ = p.query(ctx, request(s, alerting, panel{ref: "A", text: "errors", from: from, to: now.Add(time.Hour)}))
	_, _ = p.health.CheckHealth(ctx, &pluginv2.CheckHealthRequest{PluginContext: s.context(), Headers: head})
	_, _ = p.health.CollectMetrics(ctx, &pluginv2.CollectMetricsRequest{PluginContext: s.context()})
	for _, path := range []string{"measures", "values?dimension=app", "parse", "no/such/resource"} {
		name, _, _ := strings.Cut(path, "?")
		_, _, _, _ = p.call(ctx, &pluginv2.CallResourceRequest{PluginContext: s.context(), Path: name, Url: path, Method: "GET", Headers: values})
		_, _, _, _ = p.call(ctx, &pluginv2.CallResourceRequest{PluginContext: s.context(), Path: name, Url: path, Method: "POST", Headers: values, Body: []byte("{")})
	}
	_, _ = p.stream.SubscribeStream(ctx, &pluginv2.SubscribeStreamRequest{PluginContext: s.context(), Path: channel, Headers: head})
	short, stop := context.WithTimeout(ctx, 500*time.Millisecond)
	defer stop()
	if stream, err := p.stream.RunStream(short, &pluginv2.RunStreamRequest{PluginContext: s.context(), Path: channel, Headers: head}); err == nil {
		_, _ = stream.Recv()
	}
}

// leaks looks for a secret as it is, and as JSON, URLs, base 64 and lists of bytes write it.
func leaks(where, text string) error {
	var wrong faults
	for name, secret := range secrets {
		quoted, _ := json.Marshal(secret)
		bytes := strings.Trim(fmt.Sprint([]byte(secret)), "[]")
		for _, form := range []string{
			secret,
			strings.Trim(string(quoted), `"`),
			url.QueryEscape(secret),
			base64.StdEncoding.EncodeToString([]byte(secret)),
			bytes,
			strings.ReplaceAll(bytes, " ", ", "),
			fmt.Sprintf("%q", secret)[1:],
		} {
			if at := strings.Index(text, form); at >= 0 {
				wrong.add("%s shows %s: %s", where, name, text[max(0, at-120):min(len(text), at+60)])
				break
			}
		}
	}
	return wrong.all()
}
