package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// report is what was checked, in order.
type report struct {
	passed int
	failed []string
	only   string
	listed []string // the sentences and their titles, as Markdown
}

// section prints what the next checks are about.
func (r *report) section(title string) {
	fmt.Printf("\n%s\n", title)
	r.listed = append(r.listed, "", "**"+title+"**", "")
}

// check runs a check and prints its sentence; one that fails does not end the others.
func (r *report) check(sentence string, run func() error) {
	r.listed = append(r.listed, "- "+sentence)
	if !strings.Contains(sentence, r.only) {
		return
	}
	began := time.Now()
	err := func() (err error) {
		defer func() {
			if cause := recover(); cause != nil {
				err = fmt.Errorf("the check itself failed: %v\n%s", cause, debug.Stack())
			}
		}()
		return run()
	}()
	slow := ""
	if took := time.Since(began); took > 5*time.Second {
		slow = fmt.Sprintf(" (%.0f s)", took.Seconds())
	}
	if err == nil {
		r.passed++
		fmt.Printf("  ok      %s%s\n", sentence, slow)
		return
	}
	r.failed = append(r.failed, sentence)
	fmt.Printf("  FAILED  %s%s\n          %s\n", sentence, slow, strings.ReplaceAll(err.Error(), "\n", "\n          "))
}

// faults gathers what is wrong of one check.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// want notes where a value is another.
func (f *faults) want(what string, found, expected any) {
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		f.add("%s is %v, expected %v", what, found, expected)
	}
}

func (f *faults) err(err error) {
	if err != nil {
		*f = append(*f, err)
	}
}

// all is one error of the first few, or none.
func (f faults) all() error {
	if len(f) > 6 {
		return errors.Join(append(f[:6:6], fmt.Errorf("and %d more", len(f)-6))...)
	}
	return errors.Join(f...)
}

// readme checks that a page lists what was checked between its marks; with UPDATE_README it is written there.
func (r *report) readme(path string) error {
	const begin, end = "<!-- host -->\n", "<!-- /host -->"
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	page := string(raw)
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no `<!-- host -->` and `<!-- /host -->`", path)
	}
	list := strings.Join(r.listed, "\n") + "\n\n"
	wanted := before + begin + list + end + after
	if wanted == page {
		return nil
	}
	if os.Getenv("UPDATE_README") != "" {
		return os.WriteFile(path, []byte(wanted), 0o644)
	}
	return fmt.Errorf("%s lists other checks; `UPDATE_README=1 npm run test:host` rewrites it", path)
}
