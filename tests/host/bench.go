package main
import "errors"
const measurements = ""
func (h *host) bench(parts string, rows int) error { return errors.New("not yet") }
