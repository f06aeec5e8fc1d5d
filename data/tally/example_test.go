package tally_test

import (
	"fmt"

	"github.com/bdia-go/bdia/data/tally"
)

func ExampleList() {
	var out tally.List
	for _, path := range []string{"a.txt", "b.txt"} {
		out.Count(1, "files", "empty", path, false)
	}
	for _, l := range out {
		fmt.Printf("%d %s %s, first %s\n", l.Count, l.What, l.Reason, l.First)
	}
	// Output: 2 files empty, first a.txt
}
