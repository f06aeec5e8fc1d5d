package checkpoint

import (
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// FuzzManifest: whatever a manifest says of files, it is read or refused in a short line.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"version":1,"step":2,"hash":"xxh3-128","files":{"model.safetensors":{"size":3,"hash":"00112233445566778899aabbccddeeff"}}}`))
	f.Add([]byte(`{"version":9}`))
	f.Add([]byte(`{"version":1,"hash":"` + strings.Repeat("x", 5000) + `","files":{"../` + strings.Repeat("y", 5000) + `":{}}}`))
	for _, text := range testkit.Longer([]byte(`{"version":1,"step":2,"hash":"xxh3-128","files":{"a/b.safetensors":{"size":3,"hash":"00112233445566778899aabbccddeeff"}}}`)) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := testkit.Folder(t, map[string][]byte{"model.safetensors": []byte("abc")})
		m, err := parseManifest(dir, text)
		testkit.Refused(t, err)
		if err == nil && m != nil {
			testkit.Refused(t, m.Compare(dir, "model.safetensors"))
		}
	})
}
