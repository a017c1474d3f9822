package member

import "testing"

func TestOverlap(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{":443", ":443", true},
		{":443", "10.0.0.1:443", true},
		{"[::]:443", "10.0.0.1:443", true},
		{"10.0.0.1:443", "10.0.0.2:443", false},
		{":443", ":8443", false},
	} {
		if got := overlap(tt.a, tt.b); got != tt.want {
			t.Errorf("overlap(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}
