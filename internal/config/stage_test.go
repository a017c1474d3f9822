package config

import (
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

// TestStageFormat: a revision that is tried first is of a format that members which don't know of trials refuse, and all
// others are as they ever were.
func TestStageFormat(t *testing.T) {
	base := revision(t, nil, "web1", 1, map[string][]byte{FarmFile: []byte("a")})
	r, err := NewStaged([]farm.Digest{base.Digest}, "web1", 2<<16, "why", base.Files, Stage{"web2", 1500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	text := string(r.Encode())
	if !strings.HasPrefix(text, "tandem revision 2\n") || !strings.Contains(text, "\nmessage why\nstage web2 1500\n") {
		t.Errorf("encoded:\n%s", text)
	}
	if got, err := DecodeRevision([]byte(text)); err != nil || got.Stage != r.Stage || got.Digest != r.Digest {
		t.Errorf("decoded: %+v, %v", got, err)
	}
	if text := string(base.Encode()); !strings.HasPrefix(text, "tandem revision 1\n") || strings.Contains(text, "stage") {
		t.Errorf("a revision for all:\n%s", text)
	}
	for _, bad := range []string{"stage web2", "stage web2 1", "stage Web 1500", "stage web2 01500", "stage web2 99999999"} {
		if _, err := DecodeRevision([]byte(strings.Replace(text, "stage web2 1500", bad, 1))); farm.KindOf(err) != farm.Corrupt {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := NewStaged(nil, "web1", 1, "", nil, r.Stage); err == nil {
		t.Error("a trial without what was before was made")
	}
}

func TestTrials(t *testing.T) {
	base := revision(t, nil, "web1", 1, map[string][]byte{FarmFile: []byte("a")})
	tried := func(member farm.MemberID, second int64) Revision {
		r, err := NewStaged([]farm.Digest{base.Digest}, "web1", farm.HLC(second*1000<<16), "", map[string][]byte{FarmFile: []byte("b")}, Stage{member, time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one, two, other := tried("web2", 3), tried("web2", 4), tried("web3", 2)
	decided, open := Trials([]Revision{two, base, one, other})
	if len(decided) != 1 || len(open) != 3 || open[0].Digest != other.Digest || open[1].Digest != one.Digest {
		t.Errorf("decided %v, open %v", decided, open)
	}
	if run, back := Trial(open, base.Digest, "web2"); run.Digest != one.Digest || len(back) != 1 || back[0].Digest != two.Digest {
		t.Errorf("web2 runs %s and takes back %v", run.Digest.Short(), back)
	}
	if run, back := Trial(open, farm.Digest{1}, "web2"); !run.Digest.IsZero() || len(back) != 2 {
		t.Errorf("on another head web2 runs %s and takes back %v", run.Digest.Short(), back)
	}
	if run, back := Trial(open, base.Digest, "web1"); !run.Digest.IsZero() || len(back) != 0 {
		t.Errorf("web1 runs %s and takes back %v", run.Digest.Short(), back)
	}
	child := revision(t, []Revision{one}, "web2", 5, base.Files)
	if _, open := Trials([]Revision{base, one, child}); len(open) != 0 {
		t.Errorf("a trial with a child is open: %v", open)
	}
}
