package metric

import (
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// FuzzCertificates: whatever certificate.jsonl holds, it is read up to its first line that is not as it was written.
func FuzzCertificates(f *testing.F) {
	f.Add([]byte(`{"step":1,"states":["00"],"hash":"x"}` + "\n"))
	f.Add([]byte(`{"` + strings.Repeat("x", 5_000) + `":1}` + "\n"))
	f.Add([]byte("{\n"))
	for _, text := range testkit.Longer([]byte(`{"step":1,"states":["00"],"hash":"x","certificate":1,"a":{"b":2}}` + "\n")) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		testkit.Refused(t, EachCertificate(testkit.Folder(t, map[string][]byte{CertificateName: b}), func(Certificate) bool { return true }))
	})
}
