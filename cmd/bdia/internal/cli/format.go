package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/bytesize"
)

// Bytes formats a size for people: 1.5 GiB.
func Bytes(n int64) string { return bytesize.Text(n) }

// sizes are the units that ParseBytes knows, longest names first.
var sizes = []struct {
	name string
	unit float64
}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40}, {"b", 1}, {"", 1}}

// ParseBytes reads a size such as 2GiB, 8g (the same unit), 512MB or 1000000.
func ParseBytes(s string) (int64, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	for _, u := range sizes {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(v > 0) || v*u.unit > math.MaxInt64/2 {
			break
		}
		return int64(v * u.unit), nil
	}
	return 0, fmt.Errorf("%q is not a size; write it as 2GiB, 512MB or a number of bytes", s)
}

// Count formats a count with thousands separated: 1,115,394.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Seconds formats a duration without needless digits.
func Seconds(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// MemoryTable prints a table of memory by component, one column for each of the
// named usages.
func MemoryTable(w io.Writer, names []string, usages []backend.Usage) {
	fmt.Fprintf(w, "  %-12s", "")
	for _, n := range names {
		fmt.Fprintf(w, " %14s", n)
	}
	fmt.Fprintln(w)
	row := func(name string, of func(backend.Usage) int64) {
		fmt.Fprintf(w, "  %-12s", name)
		for _, u := range usages {
			fmt.Fprintf(w, " %14s", Bytes(of(u)))
		}
		fmt.Fprintln(w)
	}
	for c := range backend.NumComponents {
		used := false
		for _, u := range usages {
			used = used || u.ByComponent[c] > 0
		}
		if used {
			row(strings.ReplaceAll(c.String(), "_", " "), func(u backend.Usage) int64 { return u.ByComponent[c] })
		}
	}
	row("total", func(u backend.Usage) int64 { return u.Total })
}

// Number is v for JSON, which has no NaN and no infinities: they are null.
func Number(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return v
}

// PrintJSON prints v as one indented object.
func PrintJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, string(text))
	return err
}
