package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia/internal/rng"
)

// gatherText writes the lines of files, of a table the first column, to the file path. A
// line that repeats the one before is left out.
func gatherText(path string, files []string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, name := range files {
		if err = copyText(w, name); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			break
		}
	}
	return errors.Join(err, w.Flush(), f.Close())
}

func copyText(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := io.Reader(f)
	if base, ok := strings.CutSuffix(name, ".gz"); ok {
		if r, err = gzip.NewReader(f); err != nil {
			return err
		}
		name = base
	}
	last := ""
	emit := func(line string) error {
		if line == last && line != "" {
			return nil
		}
		last = line
		_, err := fmt.Fprintln(w, line)
		return err
	}
	if strings.HasSuffix(name, ".csv") {
		return eachRow(r, func(row []string) error { return emit(row[0]) })
	}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if err := emit(lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// eachRow calls each with the rows of a table, without its header.
func eachRow(r io.Reader, each func(row []string) error) error {
	table := csv.NewReader(r)
	for first := true; ; first = false {
		row, err := table.Read()
		if err == io.EOF {
			return nil
		}
		if err == nil && !first {
			err = each(row)
		}
		if err != nil {
			return err
		}
	}
}

// readRows returns the rows of the table at path, without its header.
func readRows(path string) (rows [][]string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	err = eachRow(f, func(row []string) error {
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

// subset returns the path of a table of n of the training pairs, drawn by seed; 0
// for all of them.
func (o options) subset(n, seed int) (string, error) {
	all := filepath.Join(o.e2e, "trainset.csv")
	if n == 0 {
		return all, nil
	}
	path := filepath.Join(o.out, fmt.Sprintf("pairs-%d-%d.csv", n, seed))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	rows, err := readRows(all)
	if err != nil {
		return "", err
	}
	if n > len(rows) {
		return "", fmt.Errorf("%d pairs; %s has %d", n, all, len(rows))
	}
	// The first n of a shuffle by Fisher and Yates, so that more pairs of a seed
	// contain those that are fewer.
	for i := range n {
		key := rng.Key{Seed: uint64(seed), Sample: uint32(i), Site: rng.SiteData}
		j := i + int(key.Uint64(0)%uint64(len(rows)-i))
		rows[i], rows[j] = rows[j], rows[i]
	}
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	w := csv.NewWriter(f)
	err = errors.Join(w.Write([]string{"mr", "ref"}), w.WriteAll(rows[:n]))
	return path, errors.Join(err, f.Close())
}

// meanings lists the distinct meaning representations of the test set, in order.
func (o options) meanings() (list []string, err error) {
	rows, err := readRows(filepath.Join(o.e2e, "testset.csv"))
	seen := map[string]bool{}
	for _, row := range rows {
		if mr := strings.TrimSpace(row[0]); !seen[mr] {
			seen[mr], list = true, append(list, mr)
		}
	}
	if o.mrs > 0 {
		list = list[:min(o.mrs, len(list))]
	}
	return list, err
}

// readResults reads lines of JSON, of runs by their names.
func readResults(path string) (map[string]result, error) {
	results := map[string]result{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return results, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := json.NewDecoder(f)
	for {
		var r result
		if err := d.Decode(&r); err == io.EOF {
			return results, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		results[r.Name] = r
	}
}

func appendResult(path string, r result) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}
