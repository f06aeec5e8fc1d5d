package train

import (
	"encoding/json"
	"testing"
)

// TestPictureJSON: lists that are nil are empty lists in JSON.
func TestPictureJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(&Picture{Samples: []Sample{{}}})
	want := `{"counts":[],"left_out":[],"parts":[],"lengths":[],"samples":[{"place":"","pieces":[]}],"notes":[]}`
	if err != nil || string(b) != want {
		t.Errorf("%s, %v, want %s", b, err, want)
	}
}
