package config

import (
	"strings"
	"testing"

	"tandem/internal/farm"
)

func TestPauseMember(t *testing.T) {
	for name, src := range map[string]string{"one": oneMember, "dos": strings.ReplaceAll(oneMember, "\n", "\r\n"), "no end": strings.TrimSpace(oneMember)} {
		t.Run(name, func(t *testing.T) {
			paused, err := PauseMember([]byte(src), "web1", true)
			if err != nil {
				t.Fatal(err)
			}
			c, faults := parseFarm(paused)
			if m, _ := c.Member("web1"); !m.Paused || faults.Err() != nil {
				t.Fatalf("%s: %v", paused, faults)
			}
			if again, err := PauseMember(paused, "web1", true); err != nil || string(again) != string(paused) {
				t.Errorf("a second time: %v, %s", err, again)
			}
			resumed, err := PauseMember(paused, "web1", false)
			if err != nil || strings.TrimSpace(string(resumed)) != strings.TrimSpace(src) {
				t.Errorf("%v\n%s\nwant\n%s", err, resumed, src)
			}
		})
	}
	if _, err := PauseMember([]byte(oneMember), "web2", true); farm.KindOf(err) != farm.NotFound {
		t.Errorf("nobody: %v", err)
	}
}
