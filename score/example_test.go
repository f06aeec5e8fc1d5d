package score_test

import (
	"fmt"

	"github.com/bdia-go/bdia/score"
)

func Example() {
	bleu, err := score.NewBLEU(score.DefaultBLEU())
	if err != nil {
		panic(err)
	}
	bleu.Add("The dog bit the man.", "The dog bit the man.", "The dog had bit the man.")
	bleu.Add("It wasn't surprising.", "It was not unexpected.", "No one was surprised.")
	bleu.Add("The man had just bitten him.", "The man bit him first.", "The man had bitten the dog.")
	r := bleu.Result()
	fmt.Printf("%.2f\n%s\n", r.Score, r.Signature)
	// Output:
	// 48.53
	// nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:bdia.2
}
