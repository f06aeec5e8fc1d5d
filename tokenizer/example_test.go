package tokenizer_test

import (
	"fmt"
	"strings"

	"github.com/bdia-go/bdia/tokenizer"
)

func ExampleNewChar() {
	tok, err := tokenizer.NewChar(strings.NewReader("to be or not to be"))
	if err != nil {
		panic(err)
	}
	ids, err := tok.Encode([]byte("root"))
	if err != nil {
		panic(err)
	}
	text, err := tok.Decode(ids)
	if err != nil {
		panic(err)
	}
	fmt.Println(tok.VocabSize(), ids, string(text))
	// Output: 7 [5 4 4 6] root
}
