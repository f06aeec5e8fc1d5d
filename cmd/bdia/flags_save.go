package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/bdia-go/bdia/train"
)

// saveValue is the flag of how often a checkpoint is saved: after so many steps, or after such a time.
type saveValue struct{ l *train.LoopConfig }

// Type names the value in the help.
func (saveValue) Type() string { return "steps" }

// Kind says what values are possible.
func (saveValue) Kind() string { return "a number of steps, or a time above 0 as 90s, 10m or 1h30m" }

func (v saveValue) String() string {
	switch {
	case v.l == nil: // pflag asks a zero value too
		return ""
	case v.l.SaveInterval > 0:
		return v.l.SaveInterval.String()
	}
	return strconv.Itoa(v.l.SaveEvery)
}

func (v saveValue) Set(text string) error {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		v.l.SaveEvery, v.l.SaveInterval = n, 0
		return nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		v.l.SaveEvery, v.l.SaveInterval = 0, d
		return nil
	}
	return errors.New("give " + v.Kind())
}
