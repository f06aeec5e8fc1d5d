package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// answer is what a model makes of one image: its likeliest classes first.
type answer struct {
	path    string
	classes []string
	shares  []float32
}

// answers returns what shows answers on w, for people, or as JSON, or as CSV for a file or a folder of images; finish
// completes it.
func answers(w io.Writer, o classifyOptions, folders bool) (show func(answer) error, finish func(error) error, err error) {
	if o.asJSON {
		return func(a answer) error { return printAnswerJSON(w, a) }, func(err error) error { return err }, nil
	}
	if o.csv == "" && !folders {
		return func(a answer) error { return printAnswer(w, a) }, func(err error) error { return err }, nil
	}
	closeFile := func(error) error { return nil }
	if o.csv != "" && o.csv != "-" {
		f, err := createOutput(o.csv)
		if err != nil {
			return nil, nil, err
		}
		w, closeFile = f, f.close
	}
	table := csv.NewWriter(w)
	header := []string{"image"}
	for i := range o.top {
		n := strconv.Itoa(i + 1)
		header = append(header, "class_"+n, "probability_"+n)
	}
	show = func(a answer) error {
		row := []string{a.path}
		for i, name := range a.classes {
			row = append(row, name, strconv.FormatFloat(float64(a.shares[i]), 'f', 6, 32))
		}
		return table.Write(row)
	}
	finish = func(err error) error {
		table.Flush()
		err = cmp.Or(err, table.Error())
		return cmp.Or(err, closeFile(err))
	}
	return show, finish, table.Write(header)
}

func printAnswer(w io.Writer, a answer) error {
	if _, err := fmt.Fprintln(w, a.path); err != nil {
		return err
	}
	for i, name := range a.classes {
		if _, err := fmt.Fprintf(w, "  %6.2f%%  %s\n", 100*a.shares[i], name); err != nil {
			return err
		}
	}
	return nil
}

// printAnswerJSON prints a line.
func printAnswerJSON(w io.Writer, a answer) error {
	type class struct {
		Class       string  `json:"class"`
		Probability float32 `json:"probability"`
	}
	line := struct {
		Image   string  `json:"image"`
		Classes []class `json:"classes"`
	}{Image: a.path}
	for i, name := range a.classes {
		line.Classes = append(line.Classes, class{name, a.shares[i]})
	}
	return json.NewEncoder(w).Encode(line)
}
