package web

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
)

func TestEdgeHealthOptions(t *testing.T) {
	probe := func(change func(*config.Probe)) *config.EdgeSite {
		p := config.NewProbe()
		p.Path, p.Host, p.TLS = "/health", "a.test", true
		change(&p)
		return &config.EdgeSite{Probe: &p}
	}
	eject := func(change func(*config.Eject)) *config.EdgeSite {
		e := config.NewEject()
		change(&e)
		return &config.EdgeSite{Eject: &e}
	}
	for text, want := range map[string]struct {
		options *config.EdgeSite
		fault   string
	}{
		"probe /health": {options: probe(func(*config.Probe) {})},
		"probe /h?x=1 {\n status 200\n contains ok\n interval 1s\n timeout 500ms\n fails 3\n passes 1\n host b.test\n}": {
			options: probe(func(p *config.Probe) {
				*p = config.Probe{Path: "/h?x=1", Low: 200, High: 200, Contains: "ok", Interval: time.Second, Timeout: 500 * time.Millisecond, Fails: 3, Passes: 1, Host: "b.test", TLS: true}
			})},
		"probe tcp 9000 {\n fails 5\n}":         {options: probe(func(p *config.Probe) { p.Path, p.Host, p.TLS, p.Port, p.Fails = "", "", false, 9000, 5 })},
		"probe":                                 {fault: ":3:2: probe: it takes a path"},
		"probe tcp 0":                           {fault: `"0" is no port`},
		"probe health":                          {fault: "it takes a path"},
		"probe /h {\n statut 200\n}":            {fault: ":4:2: probe: statut: there is no such option"},
		"probe /h {\n status 200-100\n}":        {fault: "is neither a status"},
		"probe /h {\n interval 0s\n}":           {fault: "is less than 1ms"},
		"probe /h {\n fails 0\n}":               {fault: "is not a number from 1 to 100"},
		"probe /h {\n host \"a b\"\n}":          {fault: "is no host name"},
		"probe tcp 9000 {\n contains x\n}":      {fault: "a TCP probe sees none"},
		"eject 25%":                             {options: eject(func(e *config.Eject) { e.Share = 25 })},
		"eject 10% of 50 within 1m for 5m":      {options: eject(func(e *config.Eject) { *e = config.Eject{Share: 10, Of: 50, Within: time.Minute, For: 5 * time.Minute} })},
		"eject off":                             {fault: "is not a share"},
		"eject 10% of":                          {fault: "it takes: 50%"},
		"eject 10% of 0":                        {fault: "is no number of answers"},
		"eject 10% at 5":                        {fault: "it takes: 50%"},
		"sorry_page \"back soon\"":              {options: &config.EdgeSite{Sorry: "back soon"}},
		"sorry_page <<HTML\n <h1>x</h1>\n HTML": {options: &config.EdgeSite{Sorry: "<h1>x</h1>"}},
		"sorry_page a b":                        {fault: "it takes a text in quotes"},
		"retry_after 2m\nretry_time 5s\ndeadline 20s\nanswer_time 10s\nkeep_body 1MiB": {options: &config.EdgeSite{
			RetryAfter: 2 * time.Minute, RetryTime: 5 * time.Second, Deadline: 20 * time.Second, AnswerTime: 10 * time.Second, KeepBody: 1 << 20}},
		"keep_body 1TiB":  {fault: "is not a size from 1B to 64MiB"},
		"deadline soon":   {fault: `deadline: "soon" is not a duration`},
		"answer_time 1 s": {fault: "it takes a time"},
	} {
		p, faults := compile("sites/a.caddy", "a.test {\nedge {\n\t"+text+"\n}\n}", nil)
		switch {
		case want.fault != "":
			if len(faults) != 1 || !strings.Contains(faults[0].String(), want.fault) {
				t.Errorf("%q: %v, want %s", text, faults, want.fault)
			}
		case faults != nil:
			t.Errorf("%q: %v", text, faults)
		default:
			want.options.Name = "sites/a.caddy a.test"
			if got := p.blocks[0].edge; !reflect.DeepEqual(got, want.options) {
				t.Errorf("%q says %+v, want %+v", text, got, want.options)
			}
		}
	}
}

func TestProbesKnowTheirHost(t *testing.T) {
	for keys, want := range map[string]struct {
		host  string
		tls   bool
		fault bool
	}{
		"a.test":                  {"a.test", true, false},
		"http://a.test":           {"a.test", false, false},
		"*.a.test":                {fault: true},
		":8080":                   {fault: true},
		"*.a.test, http://b.test": {"b.test", false, false},
	} {
		p, faults := compile("sites/a.caddy", keys+" {\nedge {\n\tprobe /\n}\n}", nil)
		if want.fault {
			if len(faults) != 1 || !strings.Contains(faults[0].Message, "for which host name") {
				t.Errorf("%s: %v", keys, faults)
			}
			continue
		}
		if faults != nil || p.blocks[0].edge.Probe.Host != want.host || p.blocks[0].edge.Probe.TLS != want.tls {
			t.Errorf("%s: %v, %+v", keys, faults, p)
		}
	}
}
