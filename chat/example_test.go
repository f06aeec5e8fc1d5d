package chat_test

import (
	"fmt"
	"os"

	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/tokenizer"
)

// A model's template writes a conversation; what comes before the answer and the answer are tokens apart.
func ExampleTemplate_Turn() {
	tok, err := tokenizer.Load("../train/testdata/oldruns/base")
	if err != nil {
		panic(err)
	}
	tok = tokenizer.WithChatTemplate(tok, "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}")
	template, err := chat.New(tok)
	if err != nil {
		panic(err)
	}
	prompt, answer, err := template.Turn([]chat.Message{{Role: "user", Content: "Hello"}, {Role: "assistant", Content: "Hi"}}, nil)
	if err != nil {
		panic(err)
	}
	for _, ids := range [][]int32{prompt, answer, {template.End()}} {
		text, _ := tok.Decode(ids)
		fmt.Fprintf(os.Stdout, "%q\n", text)
	}
	// Output:
	// "user: Hello<|endoftext|>\nassistant:"
	// " Hi"
	// "<|endoftext|>"
}
