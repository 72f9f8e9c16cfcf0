package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// pluginID is the data source's id in Grafana.
const pluginID = "lakeapm-warehouse-datasource"

// text is a growing text that one goroutine writes and others read.
type text struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

// process is one running plugin, started and called as Grafana does.
type process struct {
	client   *goplugin.Client
	rpc      goplugin.ClientProtocol
	cmd      *exec.Cmd
	data     grpcplugin.DataClient
	health   grpcplugin.DiagnosticsClient
	resource grpcplugin.ResourceClient
	stream   grpcplugin.StreamClient
	stderr   *text // what the plugin writes
	grafana  *text // what Grafana's own logger has, at every level
	answers  *text // every byte the plugin answered with
}

// start starts the binary as Grafana's process manager does: the handshake cookie, nothing of the host's environment,
// gRPC only, and everything logged.
func start(binary string, env ...string) (*process, error) {
	return launch(binary, &text{}, env...)
}

// launch starts the binary and keeps what it answers, unless answers is nil.
func launch(binary string, answers *text, env ...string) (*process, error) {
	folder, err := os.MkdirTemp("", "lakeapm-plugin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	// Grafana starts `<executable>_<os>_<arch>`.
	executable := filepath.Join(folder, fmt.Sprintf("gpx_lakeapm_%s_%s", runtime.GOOS, runtime.GOARCH))
	if err := os.Symlink(binary, executable); err != nil {
		return nil, err
	}
	p := &process{stderr: &text{}, grafana: &text{}, answers: answers}
	p.cmd = exec.Command(executable)
	p.cmd.Env = append([]string{"GF_VERSION=12.4.0", "GF_EDITION=Open Source"}, env...)
	p.client = goplugin.NewClient(&goplugin.ClientConfig{
		Cmd: p.cmd,
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion:  grpcplugin.ProtocolVersion,
			MagicCookieKey:   grpcplugin.MagicCookieKey,
			MagicCookieValue: grpcplugin.MagicCookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{grpcplugin.ProtocolVersion: {
			"diagnostics": &grpcplugin.DiagnosticsGRPCPlugin{},
			"resource":    &grpcplugin.ResourceGRPCPlugin{},
			"data":        &grpcplugin.DataGRPCPlugin{},
			"stream":      &grpcplugin.StreamGRPCPlugin{},
		}},
		SkipHostEnv:      true,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: p.grafana, JSONFormat: true}),
		Stderr:           p.stderr,
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithUnaryInterceptor(p.keepAnswer),
			grpc.WithStreamInterceptor(p.keepStream),
		},
	})
	if p.rpc, err = p.client.Client(); err != nil {
		p.client.Kill()
		return nil, fmt.Errorf("the plugin does not start: %w; it wrote: %s", err, tail(p.stderr.String()))
	}
	for name, to := range map[string]func(any) bool{
		"diagnostics": func(raw any) (ok bool) { p.health, ok = raw.(grpcplugin.DiagnosticsClient); return },
		"resource":    func(raw any) (ok bool) { p.resource, ok = raw.(grpcplugin.ResourceClient); return },
		"data":        func(raw any) (ok bool) { p.data, ok = raw.(grpcplugin.DataClient); return },
		"stream":      func(raw any) (ok bool) { p.stream, ok = raw.(grpcplugin.StreamClient); return },
	} {
		raw, err := p.rpc.Dispense(name)
		if err != nil || !to(raw) {
			p.client.Kill()
			return nil, fmt.Errorf("the service %s cannot be had: %v", name, err)
		}
	}
	return p, nil
}

func (p *process) keepAnswer(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	p.keep(reply, err)
	return err
}

func (p *process) keepStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, err
	}
	return keeping{stream, p}, nil
}

type keeping struct {
	grpc.ClientStream
	p *process
}

func (k keeping) RecvMsg(m any) error {
	err := k.ClientStream.RecvMsg(m)
	k.p.keep(m, err)
	return err
}

// keep keeps what was answered, to look for secrets in it. Frames of a million rows are not kept.
func (p *process) keep(reply any, err error) {
	if p.answers == nil {
		return
	}
	if err != nil {
		fmt.Fprintln(p.answers, err)
		return
	}
	if message, ok := reply.(proto.Message); ok && proto.Size(message) < 4<<20 {
		if wire, err := proto.Marshal(message); err == nil {
			_, _ = p.answers.Write(append(wire, '\n'))
		}
	}
}

// pid is the plugin's process id.
func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the plugin as Grafana does, and tells how long it took and what Grafana would warn of.
func (p *process) stop() (time.Duration, error) {
	began := time.Now()
	p.client.Kill()
	took := time.Since(began)
	for _, line := range strings.Split(p.grafana.String(), "\n") {
		if strings.Contains(line, "plugin failed to exit gracefully") {
			return took, errors.New("Grafana warns: plugin failed to exit gracefully")
		}
		if strings.Contains(line, "plugin process exited") && strings.Contains(line, `"error"`) {
			return took, fmt.Errorf("Grafana logs: %s", line)
		}
	}
	return took, nil
}

// end stops a plugin whose end is not what is checked.
func (p *process) end() { p.client.Kill() }

// lines are what the plugin wrote to standard error.
func (p *process) lines() []string {
	return strings.Split(strings.TrimSuffix(p.stderr.String(), "\n"), "\n")
}

// cpu is the processor time the plugin has taken.
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int64
	for _, nth := range []int{11, 12} { // utime and stime of proc(5), the state being 0 here
		value, err := strconv.ParseInt(fields[nth], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += value
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// memory is a line of /proc/PID/status in bytes, such as RssAnon or VmHWM.
func (p *process) memory(key string) (int64, error) { return memoryOf(p.pid(), key) }

func memoryOf(pid int, key string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, key)
}

// query asks panel queries.
func (p *process) query(ctx context.Context, req *pluginv2.QueryDataRequest) (*pluginv2.QueryDataResponse, error) {
	return p.data.QueryData(ctx, req)
}

// call calls a resource and gathers its chunks, as Grafana's proxy does.
func (p *process) call(ctx context.Context, req *pluginv2.CallResourceRequest) (code int, headers map[string]string, body []byte, err error) {
	stream, err := p.resource.CallResource(ctx, req)
	if err != nil {
		return 0, nil, nil, err
	}
	headers = map[string]string{}
	for first := true; ; first = false {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if first {
				return 0, nil, nil, errors.New("the answer has no chunk")
			}
			return code, headers, body, nil
		}
		if err != nil {
			return 0, nil, nil, err
		}
		if first {
			code = int(chunk.Code)
			for key, values := range chunk.Headers {
				headers[strings.ToLower(key)] = strings.Join(values.Values, ", ")
			}
		}
		body = append(body, chunk.Body...)
	}
}

// source is a data source as a person has set it in Grafana.
type source struct {
	uid     string
	updated int64
	json    any // marshalled, or raw as []byte
	secrets map[string]string
	user    *pluginv2.User
	config  map[string]string
	url     string
}

// of is a data source over a history.
func of(history string) source {
	return source{
		uid:     "warehouse",
		updated: 1_790_000_000_000,
		json:    map[string]any{"history": history},
		secrets: map[string]string{},
		user:    &pluginv2.User{Login: "ana", Name: "Ana", Email: "ana@example.com", Role: "Editor"},
		config:  map[string]string{"GF_APP_URL": "http://grafana.example.com/", "GF_CONCURRENT_QUERY_COUNT": "10", "GF_SQL_ROW_LIMIT": "1000000"},
	}
}

// context is what Grafana sends of the data source and the user with every call.
func (s source) context() *pluginv2.PluginContext {
	raw, ok := s.json.([]byte)
	if !ok {
		raw, _ = json.Marshal(s.json)
	}
	return &pluginv2.PluginContext{
		OrgId:    1,
		PluginId: pluginID,
		User:     s.user,
		DataSourceInstanceSettings: &pluginv2.DataSourceInstanceSettings{
			Id: 7, Uid: s.uid, Name: "Warehouse", Url: s.url,
			JsonData: raw, DecryptedSecureJsonData: s.secrets, LastUpdatedMS: s.updated,
		},
		GrafanaConfig: s.config,
		PluginVersion: "0.1.0",
		UserAgent:     "Grafana/12.4.0 (linux; amd64)",
		Namespace:     "default",
	}
}

// panel is one panel query.
type panel struct {
	ref      string
	text     string
	format   string
	zone     string
	mode     string
	from, to time.Time
	interval time.Duration // 0 = a minute
	points   int64         // 0 = 1000
	raw      []byte        // the JSON where it is no ordinary one
}

func (q panel) proto() *pluginv2.DataQuery {
	raw := q.raw
	if raw == nil {
		fields := map[string]any{
			"refId": q.ref, "query": q.text, "format": q.format, "schemaVersion": 1,
			"datasource": map[string]string{"type": pluginID, "uid": "warehouse"}, "intervalMs": 60000, "maxDataPoints": 1000,
		}
		if q.zone != "" {
			fields["timezone"] = q.zone
		}
		if q.mode != "" {
			fields["mode"] = q.mode
		}
		raw, _ = json.Marshal(fields)
	}
	if q.interval == 0 {
		q.interval = time.Minute
	}
	if q.points == 0 {
		q.points = 1000
	}
	return &pluginv2.DataQuery{
		RefId: q.ref, MaxDataPoints: q.points, IntervalMS: q.interval.Milliseconds(), Json: raw,
		TimeRange: &pluginv2.TimeRange{FromEpochMS: q.from.UnixMilli(), ToEpochMS: q.to.UnixMilli()},
	}
}

// headers are those of a panel on a dashboard.
func headers() map[string]string {
	return map[string]string{
		"http_X-Dashboard-Uid": "sla", "http_X-Dashboard-Title": "SLA", "http_X-Panel-Id": "4", "http_X-Panel-Title": "Latency",
		"http_X-Datasource-Uid": "warehouse", "http_X-Grafana-Org-Id": "1", "http_X-Query-Group-Id": "q1",
	}
}

// alert are the headers of an alert rule's evaluation.
func alert() map[string]string {
	return map[string]string{
		"FromAlert": "true", "X-Cache-Skip": "true", "X-Grafana-Org-Id": "1",
		"http_X-Rule-Name": "p95%20too%20high", "http_X-Rule-Uid": "rule1", "http_X-Rule-Type": "alerting", "http_X-Rule-Version": "3",
	}
}

func request(s source, headers map[string]string, panels ...panel) *pluginv2.QueryDataRequest {
	req := &pluginv2.QueryDataRequest{PluginContext: s.context(), Headers: headers}
	for _, each := range panels {
		req.Queries = append(req.Queries, each.proto())
	}
	return req
}

func tail(text string) string {
	if len(text) > 600 {
		return "…" + text[len(text)-600:]
	}
	return text
}
