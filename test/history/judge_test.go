package history

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// story makes requests from lines: "SESSION w|r KEY NUMBER STATUS", one a second; w is executed unless told otherwise.
func story(lines ...string) Seen {
	s := Seen{Final: map[string]map[string]int{}}
	at := time.Unix(1000, 0)
	for i, line := range lines {
		f := strings.Fields(line)
		session, _ := strconv.Atoi(f[0])
		number, _ := strconv.Atoi(f[3])
		status, _ := strconv.Atoi(f[4])
		o := Op{Session: session, Key: f[2], Number: number, Status: status, Write: f[1] == "w", Start: at, End: at.Add(time.Millisecond)}
		if o.Write {
			o.ID = "id" + strconv.Itoa(i)
			if o.outcome() != refused {
				s.Executed = append(s.Executed, o.ID)
			}
		}
		s.Ops = append(s.Ops, o)
		at = at.Add(time.Second)
	}
	return s
}

func disk(s Seen, node, key string, number int) Seen {
	s.Final[node] = map[string]int{key: number}
	return s
}

func TestJudge(t *testing.T) {
	twice := story("1 w a 1 204")
	twice.Executed = append(twice.Executed, "id0")
	never := story("1 w a 1 204")
	never.Executed = nil
	sly := story("1 w a 1 503")
	sly.Executed = []string{"id0"}
	sure := disk(story("1 w a 1 204"), "web1", "a", 0)
	sure.Ops[0].Sure = true
	outage := story("1 r a 0 0", "1 w a 1 0")
	outage.Outages = []Span{{time.Unix(999, 0), time.Unix(1002, 0)}}
	early := story("1 r a 0 0")
	early.Outages = []Span{{time.Unix(1002, 0), time.Unix(1003, 0)}}
	silent := story("1 w a 1 0", "1 r a 0 404")
	silent.Silent = true
	dumb := story("1 r a 0 0")
	dumb.Silent = true
	ahead := story("2 r a 1 200", "1 w a 1 204")

	for name, c := range map[string]struct {
		seen Seen
		want string // what the one fault begins with; empty: none
	}{
		"all well":                         {disk(story("1 r a 0 404", "1 w a 1 204", "1 r a 1 200", "2 r a 0 404", "2 r a 1 200"), "web1", "a", 1), ""},
		"own write is stale":               {story("1 w a 1 204", "1 w a 2 204", "1 r a 1 200"), "a read is stale"},
		"own write is missing":             {story("1 w a 1 204", "1 r a 0 404"), "a read is stale"},
		"back in time":                     {story("1 w a 1 204", "1 w a 2 204", "2 r a 2 200", "2 r a 1 200"), "a read is stale"},
		"another one is behind":            {story("1 w a 1 204", "1 w a 2 204", "2 r a 1 200", "3 r a 2 200"), ""},
		"an unknown write shows":           {story("1 w a 1 204", "1 w a 2 502", "1 r a 2 200"), ""},
		"an unknown write does not show":   {story("1 w a 1 204", "1 w a 2 502", "1 r a 1 200", "1 r a 2 200"), ""},
		"an unknown write vanishes":        {story("1 w a 1 204", "1 w a 2 502", "1 r a 2 200", "1 r a 1 200"), "a read is stale"},
		"an unknown write covers a later":  {story("1 w a 1 504", "1 w a 2 204", "1 r a 1 200"), "a read is stale"},
		"a refused write shows":            {story("1 w a 1 503", "1 r a 1 200"), "a read has what nobody wrote"},
		"a write shows before it is asked": {ahead, "a read has what nobody wrote"},
		"torn":                             {story("1 w a 1 204", "2 r a -1 200"), "a read has what nobody wrote"},
		"a read fails":                     {story("1 r a 0 502"), "a read failed"},
		"a read has no answer":             {story("1 r a 0 0"), "a read failed"},
		"an edge dies":                     {outage, ""},
		"an edge dies later":               {early, "a read failed"},
		"a write has no answer":            {story("1 w a 1 0"), "a write failed without a status"},
		"a balancer says nothing":          {silent, ""},
		"a balancer lets a read fail":      {dumb, "a read failed"},
		"a write happens twice":            {twice, "a write happened 2 times"},
		"a write never happens":            {never, "a write was answered and never happened"},
		"a refused write happens":          {sly, "a write was refused and happened"},
		"a write is lost":                  {disk(story("1 w a 1 204", "1 w a 2 204"), "web1", "a", 1), "a write is lost"},
		"a confirmed write is lost":        {sure, "a confirmed write is lost"},
		"an unknown write is not missed":   {disk(story("1 w a 1 204", "1 w a 2 502"), "web1", "a", 1), ""},
		"an unknown write may be the last": {disk(story("1 w a 1 204", "1 w a 2 502"), "web1", "a", 2), ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := Judge(c.seen)
			switch {
			case c.want == "" && len(v.Faults) > 0:
				t.Errorf("faults are %q", v.Faults)
			case c.want != "" && (len(v.Faults) != 1 || !strings.HasPrefix(v.Faults[0], c.want)):
				t.Errorf("faults are %q, want one: %s", v.Faults, c.want)
			}
		})
	}
}

func TestCounts(t *testing.T) {
	s := story("1 w a 1 204", "1 w a 2 502", "1 w a 3 503", "1 r a 1 200", "2 r a 0 0")
	s.Outages = []Span{{time.Unix(1004, 0), time.Unix(1004, 0)}}
	v := Judge(s)
	if v.Reads != 2 || v.Writes != 3 || v.Unknown != 1 || v.Refused != 1 || v.Cut != 1 || v.P50 != time.Millisecond || len(v.Faults) != 0 {
		t.Errorf("verdict is %s %q", v, v.Faults)
	}
}

func TestLogIsOrdered(t *testing.T) {
	var l Log
	now := time.Unix(1000, 0)
	l.Add(Op{ID: "b", Start: now.Add(time.Second)})
	l.Add(Op{ID: "a", Start: now})
	if ops := l.Ops(); l.Len() != 2 || ops[0].ID != "a" || ops[1].ID != "b" {
		t.Errorf("operations are %v", ops)
	}
}
