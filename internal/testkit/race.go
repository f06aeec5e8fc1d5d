//go:build race

package testkit

// Race reports that the race detector is at work, which takes memory of its own.
const Race = true
