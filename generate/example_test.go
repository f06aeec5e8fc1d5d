package generate_test

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
)

// A prompt is continued with the model of a folder. The same seed gives the same text on every machine.
func ExampleFromFolder() {
	folder, err := hub.Open("../train/testdata/oldruns/base", hub.Options{})
	if err != nil {
		panic(err)
	}
	o := generate.DefaultOptions()
	o.MaxTokens, o.Temperature = 12, 0.5
	text, err := generate.FromFolder(folder, backend.Options{}, "the ", o)
	fmt.Printf("%q %v\n", text, err)
	// Output: "the mill\xb2the h b theaka nea thei" <nil>
}
