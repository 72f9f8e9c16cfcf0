package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"sort"
	"strings"
	"time"

	"github.com/grafana/dataplane/sdata/numeric"
	"github.com/grafana/dataplane/sdata/reader"
	"github.com/grafana/dataplane/sdata/timeseries"
	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
)

// decode reads a response with Grafana's own reader, which fails as a whole where one frame cannot be read.
func decode(resp *pluginv2.QueryDataResponse) (backend.Responses, error) {
	for ref, each := range resp.Responses {
		if each.Format != pluginv2.DataFrameFormat_ARROW {
			return nil, fmt.Errorf("%s: frames in the format %s, expected Arrow", ref, each.Format)
		}
		for nth, raw := range each.Frames {
			if _, err := data.UnmarshalArrowFrame(raw); err != nil {
				return nil, fmt.Errorf("%s: Grafana cannot read frame %d: %w", ref, nth, err)
			}
		}
	}
	read, err := backend.FromProto().QueryDataResponse(resp)
	if err != nil {
		return nil, fmt.Errorf("Grafana cannot read the response: %w", err)
	}
	for ref, each := range read.Responses {
		if each.Error != nil {
			continue
		}
		for nth, frame := range each.Frames {
			// Grafana sends frames on as JSON; one that cannot be written breaks the panel.
			if _, err := json.Marshal(frame); err != nil {
				return nil, fmt.Errorf("%s: frame %d cannot be sent to the browser: %w", ref, nth, err)
			}
			if err := lawful(ref, frame); err != nil {
				return nil, fmt.Errorf("%s: frame %d (%s): %w", ref, nth, frame.Name, err)
			}
		}
	}
	return read.Responses, nil
}

// lawful checks what holds for every frame.
func lawful(ref string, frame *data.Frame) error {
	var wrong faults
	wrong.want("the frame's refId", frame.RefID, ref)
	if frame.Meta == nil || frame.Meta.Type == "" {
		wrong.add("it has no type in its meta")
		return wrong.all()
	}
	version := data.FrameTypeVersion{0, 1}
	if frame.Meta.Type == data.FrameTypeLogLines {
		version = data.FrameTypeVersion{0, 0}
	}
	if frame.Meta.Type != data.FrameTypeTable {
		wrong.want("typeVersion", frame.Meta.TypeVersion, version)
	}
	for _, notice := range frame.Meta.Notices {
		if notice.Text == "" || notice.Inspect != 0 {
			wrong.add("a notice says nothing, or sets `inspect`: %+v", notice)
		}
	}
	names := map[string]bool{}
	rows := -1
	for _, field := range frame.Fields {
		if field.Name == "" {
			wrong.add("a field has no name")
		}
		if names[field.Name] && len(field.Labels) == 0 {
			wrong.add("two fields are called %q", field.Name)
		}
		names[field.Name] = true
		if rows >= 0 && field.Len() != rows {
			wrong.add("field %q has %d rows, the one before %d", field.Name, field.Len(), rows)
		}
		rows = field.Len()
		for row := range field.Len() {
			if number, err := field.NullableFloatAt(row); err == nil && number != nil && (math.IsNaN(*number) || math.IsInf(*number, 0)) {
				wrong.add("field %q holds %v in row %d", field.Name, *number, row)
				break
			}
		}
	}
	return wrong.all()
}

// one asks a single panel query and reads it.
func (p *process) one(s source, headers map[string]string, q panel) (backend.DataResponse, error) {
	q.ref = "A"
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	resp, err := p.query(ctx, request(s, headers, q))
	if err != nil {
		return backend.DataResponse{}, fmt.Errorf("`%s`: the whole request failed: %w", q.text, err)
	}
	read, err := decode(resp)
	if err != nil {
		return backend.DataResponse{}, fmt.Errorf("`%s`: %w", q.text, err)
	}
	answer, ok := read["A"]
	if !ok || len(read) != 1 {
		return backend.DataResponse{}, fmt.Errorf("`%s`: answers for %v, expected for A", q.text, keys(read))
	}
	return answer, nil
}

// frames asks a single panel query that is answered.
func (p *process) frames(s source, headers map[string]string, q panel) (data.Frames, error) {
	answer, err := p.one(s, headers, q)
	if err != nil {
		return nil, err
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("`%s`: %w", q.text, answer.Error)
	}
	if answer.Status != 200 {
		return nil, fmt.Errorf("`%s`: status %d, expected 200", q.text, answer.Status)
	}
	if len(answer.Frames) == 0 {
		return nil, fmt.Errorf("`%s`: no frame at all; nothing found is one typed frame without fields", q.text)
	}
	return answer.Frames, nil
}

// refused checks that a panel query is refused as a person's mistake, with words that are in the sentence.
func (p *process) refused(s source, headers map[string]string, q panel, words ...string) error {
	answer, err := p.one(s, headers, q)
	if err != nil {
		return err
	}
	return mistake(answer, words...)
}

// mistake checks an error that a person can mend: status 400, not counted as the plugin's own.
func mistake(answer backend.DataResponse, words ...string) error {
	if answer.Error == nil {
		return fmt.Errorf("answered with %d frames, expected an error that says %s", len(answer.Frames), strings.Join(words, ", "))
	}
	var wrong faults
	wrong.want("the status", int(answer.Status), 400)
	wrong.want("the error source", answer.ErrorSource, backend.ErrorSourceFromHTTPStatus(400))
	wrong.err(says(answer.Error.Error(), words...))
	return wrong.all()
}

// says checks that a sentence has words in it; `a|b` is either.
func says(sentence string, words ...string) error {
	var wrong faults
	for _, word := range words {
		found := false
		for _, either := range strings.Split(word, "|") {
			found = found || strings.Contains(strings.ToLower(sentence), strings.ToLower(either))
		}
		if !found {
			wrong.add("the sentence does not say %q: %s", word, sentence)
		}
	}
	if len(sentence) > 2000 {
		wrong.add("the sentence has %d characters", len(sentence))
	}
	return wrong.all()
}

// series reads frames as the alerting engine does, and gives the points of each label set.
func series(frames data.Frames) (map[string][]point, error) {
	kind, err := reader.CanReadBasedOnMeta(frames)
	if err != nil {
		return nil, fmt.Errorf("the data plane cannot read it: %w", err)
	}
	if kind != data.FrameTypeTimeSeriesMulti {
		return nil, fmt.Errorf("the type is %s, expected %s", kind, data.FrameTypeTimeSeriesMulti)
	}
	from, err := timeseries.CollectionReaderFromFrames(frames)
	if err != nil {
		return nil, err
	}
	collection, err := from.GetCollection(true)
	if err != nil {
		return nil, fmt.Errorf("the data plane finds it wrong: %w", err)
	}
	var wrong faults
	wrong.err(collection.Warning)
	if len(collection.RemainderIndices) > 0 {
		wrong.add("the data plane ignores %v", collection.RemainderIndices)
	}
	found := map[string][]point{}
	for _, ref := range collection.Refs {
		wrong.want("the time field's type", ref.TimeField.Type(), data.FieldTypeTime)
		if !ref.ValueField.Type().Nullable() || !ref.ValueField.Type().Numeric() {
			wrong.add("the value field's type is %s, expected a nullable number", ref.ValueField.Type())
		}
		points := []point{}
		for row := range ref.TimeField.Len() {
			at, value, err := ref.NullableFloat64Point(row)
			wrong.err(err)
			points = append(points, point{at.UTC(), value})
		}
		name := label(ref.GetLabels())
		if _, twice := found[name]; twice {
			wrong.add("two series have the labels %s", name)
		}
		found[name] = points
	}
	for _, frame := range frames {
		if len(frame.Fields) > 0 && len(frame.Fields) != 2 {
			wrong.add("a series has %d fields, expected a time and a value", len(frame.Fields))
		}
	}
	return found, wrong.all()
}

// numbers reads a numeric-long frame as the alerting engine does: one number for each label set.
func numbers(frames data.Frames) (map[string]*float64, error) {
	kind, err := reader.CanReadBasedOnMeta(frames)
	if err != nil {
		return nil, fmt.Errorf("the data plane cannot read it: %w", err)
	}
	if kind != data.FrameTypeNumericLong {
		return nil, fmt.Errorf("the type is %s, expected %s", kind, data.FrameTypeNumericLong)
	}
	if len(frames) != 1 {
		return nil, fmt.Errorf("%d frames, expected one", len(frames))
	}
	from, err := numeric.CollectionReaderFromFrames(frames)
	if err != nil {
		return nil, err
	}
	collection, err := from.GetCollection(false)
	if err != nil {
		return nil, err
	}
	var wrong faults
	wrong.err(collection.Warning)
	values := 0
	for _, field := range frames[0].Fields {
		switch {
		case field.Type().Numeric():
			values++
			if !field.Type().Nullable() {
				wrong.add("the value field %q is not nullable", field.Name)
			}
		case field.Type() == data.FieldTypeString || field.Type() == data.FieldTypeNullableString:
		default:
			wrong.add("field %q is a %s, expected text or a number", field.Name, field.Type())
		}
		if len(field.Labels) > 0 {
			wrong.add("field %q has labels, which numeric-long ignores", field.Name)
		}
	}
	if len(frames[0].Fields) > 0 && values != 1 {
		wrong.add("%d value columns, expected one: alert instances would have the same labels", values)
	}
	found := map[string]*float64{}
	for _, ref := range collection.Refs {
		value, _, err := ref.NullableFloat64Value()
		wrong.err(err)
		name := label(ref.GetLabels())
		if _, twice := found[name]; twice {
			wrong.add("two rows have the labels %s", name)
		}
		found[name] = value
	}
	return found, wrong.all()
}

// nothing checks what nothing found looks like: one typed frame without fields, so that an alert has no data.
func nothing(frames data.Frames, kind data.FrameType) error {
	var wrong faults
	wrong.want("the number of frames", len(frames), 1)
	wrong.want("the type", frames[0].Meta.Type, kind)
	wrong.want("the number of fields", len(frames[0].Fields), 0)
	if frames[0].Meta.ExecutedQueryString == "" {
		wrong.add("it does not tell the SQL that was run")
	}
	switch kind {
	case data.FrameTypeTimeSeriesMulti:
		if from, err := timeseries.CollectionReaderFromFrames(frames); err != nil {
			wrong.err(err)
		} else if collection, err := from.GetCollection(true); err != nil || !collection.NoData() {
			wrong.add("the data plane does not read it as no data: %v", err)
		}
	case data.FrameTypeNumericLong:
		if from, err := numeric.CollectionReaderFromFrames(frames); err != nil {
			wrong.err(err)
		} else if collection, err := from.GetCollection(false); err != nil || !collection.NoData() {
			wrong.add("the data plane does not read it as no data: %v", err)
		}
	}
	return wrong.all()
}

type point struct {
	at    time.Time
	value *float64
}

// label is a label set as one text.
func label(labels data.Labels) string {
	if len(labels) == 0 {
		return "{}"
	}
	parts := []string{}
	for _, key := range keys(labels) {
		parts = append(parts, key+"="+labels[key])
	}
	return strings.Join(parts, ", ")
}

func keys[V any](of map[string]V) []string {
	found := make([]string, 0, len(of))
	for key := range of {
		found = append(found, key)
	}
	sort.Strings(found)
	return found
}

// field is the field of a frame by name.
func field(frame *data.Frame, name string) (*data.Field, error) {
	for _, each := range frame.Fields {
		if each.Name == name {
			return each, nil
		}
	}
	names := []string{}
	for _, each := range frame.Fields {
		names = append(names, each.Name)
	}
	return nil, fmt.Errorf("no field %q; there are %s", name, strings.Join(names, ", "))
}

// same tells whether two numbers are the same but for the last digits.
func same(a, b *float64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return math.Abs(*a-*b) <= 1e-9*math.Max(math.Abs(*a), math.Abs(*b))
}

func show(number *float64) string {
	if number == nil {
		return "null"
	}
	return fmt.Sprint(*number)
}

// answer is what the command line prints as JSON: the judge of the plugin's values.
type answer struct {
	Columns []struct{ Name, Unit, Type string } `json:"columns"`
	Rows    [][]any                             `json:"rows"`
	Notices []string                            `json:"notices"`
	SQL     string                              `json:"sql"`
}

// ask asks the command line.
func ask(binary, history, question string, from, to time.Time, more ...string) (answer, error) {
	args := append([]string{"query", question, "--format", "json", "--history", history,
		"--from", from.Format(time.RFC3339), "--to", to.Format(time.RFC3339)}, more...)
	cmd := exec.Command(binary, args...)
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok {
			return answer{}, fmt.Errorf("the command line does not answer `%s`: %s", question, exit.Stderr)
		}
		return answer{}, err
	}
	var read answer
	return read, json.Unmarshal(out, &read)
}

// groups are the rows of an answer without time as one number for each label set.
func (a answer) groups(labels ...string) map[string]*float64 {
	found := map[string]*float64{}
	for _, row := range a.Rows {
		found[a.label(row, labels)] = number(row[len(row)-1])
	}
	return found
}

// series are the rows of an answer with time as the points of each label set.
func (a answer) series(labels ...string) map[string][]point {
	found := map[string][]point{}
	for _, row := range a.Rows {
		at, _ := time.Parse(time.RFC3339, row[0].(string))
		name := a.label(row[1:], labels)
		found[name] = append(found[name], point{at.UTC(), number(row[len(row)-1])})
	}
	return found
}

func (a answer) label(row []any, labels []string) string {
	set := data.Labels{}
	for nth, name := range labels {
		value, _ := row[nth].(string)
		if value == "" {
			value = "(none)"
		}
		set[name] = value
	}
	return label(set)
}

func number(value any) *float64 {
	if number, ok := value.(float64); ok {
		return &number
	}
	return nil
}

// equal compares numbers by their label sets.
func equal(found, expected map[string]*float64) error {
	var wrong faults
	wrong.want("the label sets", keys(found), keys(expected))
	for name, value := range found {
		if other, ok := expected[name]; ok && !same(value, other) {
			wrong.add("%s is %s, the command line says %s", name, show(value), show(other))
		}
	}
	return wrong.all()
}

// equalSeries compares series by their label sets.
func equalSeries(found, expected map[string][]point) error {
	var wrong faults
	wrong.want("the label sets", keys(found), keys(expected))
	for name, points := range found {
		other := expected[name]
		if len(points) != len(other) {
			wrong.add("%s has %d points, the command line has %d", name, len(points), len(other))
			continue
		}
		for nth := range points {
			if !points[nth].at.Equal(other[nth].at) || !same(points[nth].value, other[nth].value) {
				wrong.add("%s at %s is %s, the command line says %s at %s", name, points[nth].at, show(points[nth].value), show(other[nth].value), other[nth].at)
				break
			}
		}
	}
	return wrong.all()
}
