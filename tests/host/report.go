package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// report is what was checked, in order.
type report struct {
	passed int
	failed []string
	only   string
}

// section prints what the next checks are about.
func (r *report) section(title string) { fmt.Printf("\n%s\n", title) }

// check runs a check and prints its sentence; one that fails does not end the others.
func (r *report) check(sentence string, run func() error) {
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
