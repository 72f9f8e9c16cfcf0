package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
)

// settings checks what a data source may be set to, and what happens when that changes.
func (h *host) settings() {
	h.section("Settings")
	q := panel{text: "queries by app", format: "table", from: now.Add(-day), to: now}
	h.shared(func(check func(string, func(*process) error)) {
		check("fields the plugin does not know are ignored", func(p *process) error {
			s := of(h.history)
			s.json = map[string]any{"history": h.history, "someday": map[string]any{"a": []int{1, 2}}, "keepCookies": []string{}, "timeInterval": "10s", "oauthPassThru": true, "httpHeaderName1": "X-Org"}
			s.secrets = map[string]string{"httpHeaderValue1": "x", "someday": "y"}
			_, err := p.frames(s, headers(), q)
			return err
		})
		check("users with any role are answered: Admin, Editor, Viewer, None, none at all, a service account, no user", func(p *process) error {
			var wrong faults
			users := []*pluginv2.User{nil, {}, {Login: "sa-1-reader", Role: "None"}}
			for _, role := range []string{"Admin", "Editor", "Viewer", "None", "", "Owner"} {
				users = append(users, &pluginv2.User{Login: "ana", Name: "Ana \"*/ drop", Email: "ana@example.com", Role: role})
			}
			for _, user := range users {
				s := of(h.history)
				s.user = user
				if _, err := p.frames(s, headers(), q); err != nil {
					wrong.add("%v: %w", user, err)
				}
				ctx := s.context()
				if _, err := p.health.CheckHealth(context.Background(), &pluginv2.CheckHealthRequest{PluginContext: ctx}); err != nil {
					wrong.add("health for %v: %w", user, err)
				}
				if code, _, _, err := p.call(context.Background(), &pluginv2.CallResourceRequest{PluginContext: ctx, Path: "measures", Url: "measures", Method: "GET"}); err != nil || code != 200 {
					wrong.add("resources for %v: %d, %v", user, code, err)
				}
			}
			return wrong.all()
		})
		check("a viewer does not see texts, an editor does", func(p *process) error {
			var wrong faults
			list := panel{text: "list queries where statement = 'select' limit 20", format: "table", from: now.Add(-day), to: now}
			for role, sees := range map[string]bool{"Viewer": false, "None": false, "Editor": true, "Admin": true} {
				s := of(h.history)
				s.user = &pluginv2.User{Login: "ana", Role: role}
				answer, err := p.one(s, headers(), list)
				if err != nil {
					return err
				}
				texts := 0
				if answer.Error == nil {
					if each, err := field(answer.Frames[0], "text"); err == nil {
						for row := range each.Len() {
							if value, ok := each.ConcreteAt(row); ok && value != "" {
								texts++
							}
						}
					}
				} else if sees {
					wrong.err(answer.Error)
				}
				if (texts > 0) != sees {
					wrong.add("%s sees %d texts", role, texts)
				}
			}
			return wrong.all()
		})
		check("wrong settings are named without their values, in panel queries and in the health check", func(p *process) error {
			var wrong faults
			secret := "swordfish-in-the-wrong-place"
			for name, raw := range map[string]any{
				"limits":  map[string]any{"history": h.history, "limits": secret},
				"history": map[string]any{"history": map[string]string{"path": secret}},
				"rules":   map[string]any{"history": h.history, "rules": secret},
				"bill":    map[string]any{"history": h.history, "bill": []any{map[string]any{"warehouse": 7, "node_type": secret}}},
				"":        []byte(`{"history": "` + secret),
			} {
				s := of(h.history)
				s.uid = "wrong-" + name
				s.json = raw
				answer, err := p.one(s, headers(), q)
				if err != nil {
					wrong.add("%s: %w", name, err)
					continue
				}
				if err := failed(answer, name); err != nil {
					wrong.add("%s: %w", name, err)
				} else if says(answer.Error.Error(), secret) == nil {
					wrong.add("%s: the value is shown: %s", name, answer.Error)
				}
				health, err := p.health.CheckHealth(context.Background(), &pluginv2.CheckHealthRequest{PluginContext: s.context()})
				if err != nil {
					wrong.add("%s: health: %w", name, err)
				} else if health.Status != pluginv2.CheckHealthResponse_ERROR || says(health.Message, name) != nil || says(health.Message+string(health.JsonDetails), secret) == nil {
					wrong.add("%s: health is %s: %s %s", name, health.Status, health.Message, health.JsonDetails)
				}
			}
			return wrong.all()
		})
		check("a history that is not there, or is a relative path, is an error that names the way out", func(p *process) error {
			var wrong faults
			for name, s := range map[string]source{
				"missing":  {uid: "missing", json: map[string]any{"history": filepath.Join(h.folder, "nowhere")}},
				"relative": {uid: "relative", json: map[string]any{"history": "demo-history"}},
			} {
				answer, err := p.one(s, headers(), q)
				if err != nil {
					wrong.add("%s: %w", name, err)
				} else if err := failed(answer, "history"); err != nil {
					wrong.add("%s: %w", name, err)
				}
				health, err := p.health.CheckHealth(context.Background(), &pluginv2.CheckHealthRequest{PluginContext: s.context()})
				if err != nil {
					wrong.add("%s: health: %w", name, err)
				} else if health.Status != pluginv2.CheckHealthResponse_ERROR {
					wrong.add("%s: health is %s: %s", name, health.Status, health.Message)
				}
			}
			return wrong.all()
		})
		check("settings that changed hold from the next panel query on, with a new `updated`", func(p *process) error {
			other := filepath.Join(h.folder, "other")
			if _, err := os.Stat(other); err != nil {
				if err := h.demo(other, "--queries", "3000", "--days", "3", "--seed", "7"); err != nil {
					return err
				}
			}
			count := func(s source) (float64, error) {
				frames, err := p.frames(s, headers(), panel{text: "queries", format: "table", from: now.Add(-day), to: now})
				if err != nil {
					return 0, err
				}
				value, err := frames[0].Fields[0].FloatAt(0)
				return value, err
			}
			s := of(h.history)
			first, err := count(s)
			if err != nil {
				return err
			}
			changed := of(other)
			changed.updated = s.updated + 1
			second, err := count(changed)
			if err != nil {
				return err
			}
			judge, err := ask(h.binary, other, "queries", now.Add(-day), now)
			if err != nil {
				return err
			}
			if expected := judge.Rows[0][0].(float64); second != expected || first == second {
				return fmt.Errorf("it was %v, then %v; the command line says %v", first, second, expected)
			}
			return nil
		})
		check("a changed password makes a new instance while panel queries of the old one are finished", func(p *process) error {
			s := of(h.history)
			s.uid = "rotating"
			s.secrets = map[string]string{"password": "before-" + secrets["password"]}
			var wait sync.WaitGroup
			failures := make([]error, 4)
			for nth := range failures {
				wait.Go(func() {
					q := heavy(nth)
					q.from = q.from.Add(17 * time.Minute)
					_, failures[nth] = p.frames(s, headers(), q)
				})
			}
			time.Sleep(100 * time.Millisecond)
			changed := s
			changed.updated++
			changed.secrets = map[string]string{"password": "after-" + secrets["password"]}
			var wrong faults
			for range 3 {
				_, err := p.frames(changed, headers(), q)
				wrong.err(err)
			}
			wait.Wait()
			for _, err := range failures {
				wrong.err(err)
			}
			// What the instance before had kept is not the new one's.
			kept := func(s source) (float64, error) {
				before, err := p.metrics()
				if err != nil {
					return 0, err
				}
				if _, err := p.frames(s, headers(), q); err != nil {
					return 0, err
				}
				after, err := p.metrics()
				was, _ := sum(before, "lakeapm_panel_queries_total", "kept")
				is, _ := sum(after, "lakeapm_panel_queries_total", "kept")
				return is - was, err
			}
			found, err := kept(changed)
			wrong.err(err)
			wrong.want("kept answers used by the same instance", found, 1)
			changed.updated++
			changed.secrets = map[string]string{"password": "at-last-" + secrets["password"]}
			found, err = kept(changed)
			wrong.err(err)
			wrong.want("kept answers used after the password has changed", found, 0)
			if health, err := p.health.CheckHealth(context.Background(), &pluginv2.CheckHealthRequest{PluginContext: changed.context()}); err != nil || health.Status == pluginv2.CheckHealthResponse_UNKNOWN {
				wrong.add("health: %v, %v", health, err)
			}
			return wrong.all()
		})
		check("two data sources of one plugin do not share answers", func(p *process) error {
			other := filepath.Join(h.folder, "other")
			a, b := of(h.history), of(other)
			a.uid, b.uid = "one", "two"
			question := panel{text: "queries by app", format: "table", from: now.Add(-2 * day), to: now}
			var wrong faults
			for range 2 {
				for _, each := range []struct {
					source
					history string
				}{{a, h.history}, {b, other}} {
					frames, err := p.frames(each.source, headers(), question)
					if err != nil {
						return err
					}
					judge, err := ask(h.binary, each.history, question.text, question.from, question.to)
					if err != nil {
						return err
					}
					wrong.err(rows(frames[0], judge))
				}
			}
			return wrong.all()
		})
	})
}
