package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/train"
)

// autoWord is the value of a flag that leaves a setting open: the run chooses it from its data.
const autoWord = "auto"

// openValue is a flag of a setting that may be open, as it is at one value: 0 or train.Auto.
type openValue[T int | float64] struct {
	setting []*T // all get the value
	at      T
}

// openInt and openFloat add the flag of a setting that is open at 0 or train.Auto.
func openInt(f *pflag.FlagSet, p *int, at int, name, usage string) {
	f.Var(openValue[int]{[]*int{p}, at}, name, usage)
}

func openFloat(f *pflag.FlagSet, p *float64, at float64, name, usage string) {
	f.Var(openValue[float64]{[]*float64{p}, at}, name, usage)
}

// Type names the value in the help.
func (v openValue[T]) Type() string {
	if _, whole := any(v.at).(int); whole {
		return "int"
	}
	return "float64"
}

func (v openValue[T]) String() string {
	switch {
	case len(v.setting) == 0: // pflag asks a zero value too
		return ""
	case *v.setting[0] == v.at:
		return autoWord
	}
	return fmt.Sprint(*v.setting[0])
}

// Kind says what values are possible.
func (v openValue[T]) Kind() string {
	kind, least := "a number", "above 0"
	if v.Type() == "int" {
		kind = "a whole number"
	}
	if v.at == train.Auto {
		least = "of at least 0"
	}
	return fmt.Sprintf("%s %s, or %s", kind, least, autoWord)
}

func (v openValue[T]) Set(text string) error {
	n := v.at
	if text != autoWord {
		var err error
		if n, err = parse[T](text); err != nil || n < 0 || n == v.at {
			return fmt.Errorf("give %s", v.Kind())
		}
	}
	for _, p := range v.setting {
		*p = n
	}
	return nil
}

// parse reads a number.
func parse[T int | float64](text string) (n T, err error) {
	switch p := any(&n).(type) {
	case *int:
		*p, err = strconv.Atoi(text)
	case *float64:
		*p, err = strconv.ParseFloat(text, 64)
	}
	return n, err
}
