// Command host proves that the program serves Grafana: it starts it as Grafana does, calls every service, and reads every
// answer with Grafana's own Go packages.
//
//	host check BINARY [--history D] [--only TEXT] [--readme PAGE]       checks, one sentence a line; exits 1 where one failed
//	host bench BINARY [--history D] [--parts PART,…] [--rows N]         the plugin's numbers, and its peer's
//
// Without `--history` it makes itself a demo history with the binary. `--only` runs the checks whose sentence has the text.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// now is the instant that the demo history takes for now, and what is collected up to.
var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// host is what the checks share.
type host struct {
	report
	binary  string
	history string
	folder  string // temporary, for histories of a check's own
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 3 {
		return fmt.Errorf("found %d arguments, expected `check BINARY` or `bench BINARY`", len(os.Args)-1)
	}
	if os.Args[1] == "peer" {
		return runPeer(os.Args[2]) // one run of the bench's peer
	}
	flags := flag.NewFlagSet("host", flag.ExitOnError)
	history := flags.String("history", "", "the folder of a demo history whose now is "+now.Format(time.RFC3339))
	only := flags.String("only", "", "run the checks whose sentence has this text")
	rows := flags.Int("rows", 1_000_000, "rows of the table that is measured beside the peer")
	readme := flags.String("readme", "", "a page that lists the checks, which is checked too")
	parts := flags.String("parts", "", "the measurements to take, of "+measurements+"; all without it")
	if err := flags.Parse(os.Args[3:]); err != nil {
		return err
	}
	binary, err := filepath.Abs(os.Args[2])
	if err != nil {
		return err
	}
	if _, err := os.Stat(binary); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "lakeapm-host-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	h := &host{report: report{only: *only}, binary: binary, history: *history, folder: folder}
	if h.history == "" {
		h.history = filepath.Join(folder, "demo")
		if err := h.demo(h.history, "--queries", "20000", "--days", "15"); err != nil {
			return err
		}
	} else if h.history, err = filepath.Abs(h.history); err != nil {
		return err
	}
	switch os.Args[1] {
	case "check":
		return h.checkAll(*readme)
	case "bench":
		return h.bench(*parts, *rows)
	default:
		return fmt.Errorf("found `%s`, expected `check` or `bench`", os.Args[1])
	}
}

// demo writes a demo history whose now stands still.
func (h *host) demo(folder string, size ...string) error {
	args := append([]string{"demo", "--dir", folder, "--now", now.Format(time.RFC3339)}, size...)
	if out, err := exec.Command(h.binary, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("`lakeapm demo` failed: %w: %s", err, tail(string(out)))
	}
	return nil
}

func (h *host) checkAll(readme string) error {
	h.starting()
	h.answers()
	h.alerts()
	h.mistakes()
	h.load()
	h.settings()
	h.diagnostics()
	h.resources()
	h.streams()
	h.secrecy()
	h.ending()
	if readme != "" {
		fmt.Println("\nDocumentation")
		list := h.listed
		h.check("the README lists these checks", func() error {
			h.listed = list
			return h.readme(readme)
		})
	}

	word := "ok"
	if len(h.failed) > 0 {
		word = "FAILED"
		fmt.Println("\nfailed:")
		for _, sentence := range h.failed {
			fmt.Println("   ", sentence)
		}
	}
	fmt.Printf("\ntest result: %s. %d passed; %d failed;\n", word, h.passed, len(h.failed))
	if len(h.failed) > 0 {
		return fmt.Errorf("%d of %d checks failed", len(h.failed), h.passed+len(h.failed))
	}
	if h.passed == 0 {
		return fmt.Errorf("no check has %q in its sentence", h.only)
	}
	return nil
}

// with runs a check on a plugin of its own, which is ended afterwards.
func (h *host) with(sentence string, check func(p *process) error, env ...string) {
	h.check(sentence, func() error {
		p, err := start(h.binary, env...)
		if err != nil {
			return err
		}
		defer p.end()
		return check(p)
	})
}

// shared runs checks on one plugin, started when the first of them is run.
func (h *host) shared(checks func(check func(sentence string, run func(p *process) error)), env ...string) {
	var p *process
	defer func() {
		if p != nil {
			p.end()
		}
	}()
	checks(func(sentence string, run func(p *process) error) {
		h.check(sentence, func() (err error) {
			if p == nil || p.client.Exited() {
				if p, err = start(h.binary, env...); err != nil {
					return err
				}
			}
			if err := run(p); err != nil {
				return err
			}
			if p.client.Exited() {
				return fmt.Errorf("the plugin is dead after it; it wrote: %s", tail(p.stderr.String()))
			}
			return nil
		})
	})
}
