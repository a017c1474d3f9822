package acme

import (
	"testing"
	"time"

	"tandem/internal/farm"
)

func TestDecide(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	times := Times{Calm: 15 * time.Second, Alone: 10 * time.Minute, TakeOver: time.Minute}
	const day = 24 * time.Hour
	usual := view{self: "web1", up: []farm.MemberID{"edge1", "web1", "web2"}, calm: time.Hour}
	only := func(ids ...farm.MemberID) view { v := usual; v.settings.Issuers = ids; return v }
	for _, tt := range []struct {
		name  string
		view  view
		known known
		want  todo
	}{
		{"nothing there, and first by name", only("web1", "web2"), known{}, todo{issue: true}},
		{"nothing there, but another is first", usual, known{}, todo{}},
		{"nobody that may is up", only("web9"), known{}, todo{}},
		{"after a failure the next one tries", usual, known{attempt: attempt{Failures: 1, After: in(-time.Second)}}, todo{issue: true}},
		{"not before the pause is over", usual, known{attempt: attempt{Failures: 1, After: in(time.Minute)}}, todo{wait: time.Minute}},
		{"a fresh one is left alone", only("web1"), known{from: in(-10 * day), until: in(80 * day)}, todo{wait: 50 * day}},
		{"renewed a third before its end", only("web1"), known{from: in(-61 * day), until: in(29 * day)}, todo{issue: true}},
		{"short ones too", only("web1"), known{from: in(-2 * day), until: in(4 * day)}, todo{wait: 2 * day}},
		{"another is at it", only("web1"), known{attempt: attempt{Issuer: "web2", Open: true, Since: in(-2 * time.Minute)}}, todo{wait: 8 * time.Minute}},
		{"another took too long", only("web1"), known{attempt: attempt{Issuer: "web2", Open: true, Since: in(-11 * time.Minute)}}, todo{issue: true}},
		{"another died just now", only("web1"), known{attempt: attempt{Issuer: "web3", Open: true, Since: in(-20 * time.Second)}}, todo{wait: 40 * time.Second}},
		{"another died a while ago", only("web1"), known{attempt: attempt{Issuer: "web3", Open: true, Since: in(-2 * time.Minute)}}, todo{issue: true}},
		{"it was interrupted itself", only("web1"), known{attempt: attempt{Issuer: "web1", Open: true, Since: in(-2 * time.Second)}}, todo{wait: 58 * time.Second}},
		{"others come and go", view{self: "web1", up: []farm.MemberID{"web1"}, calm: 5 * time.Second}, known{}, todo{wait: 10 * time.Second}},
		{"few are up", view{self: "web1", up: []farm.MemberID{"web1"}, few: true, calm: time.Minute}, known{}, todo{wait: 9 * time.Minute}},
		{"few are up for long", view{self: "web1", up: []farm.MemberID{"web1"}, few: true, calm: time.Hour}, known{}, todo{issue: true}},
	} {
		tt.view.now, tt.view.times = now, times
		if got := tt.view.decide(tt.known); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestPausesGrow(t *testing.T) {
	times := Times{First: time.Minute}
	last := time.Duration(0)
	for failures := 1; failures < 20; failures++ {
		p := times.pause(failures, 0)
		if p < last || p > 24*time.Hour {
			t.Errorf("after %d failures %v, before that %v", failures, p, last)
		}
		last = p
	}
	if last != 24*time.Hour || times.pause(1, time.Hour) != time.Hour {
		t.Errorf("the longest is %v, a wish is %v", last, times.pause(1, time.Hour))
	}
}

func TestEligible(t *testing.T) {
	for host, want := range map[string]struct{ public, own bool }{
		"shop.example.com": {true, true}, "*.example.com": {true, true}, "xn--bcher-kva.de": {true, true},
		"shop.corp": {false, true}, "shop": {false, true}, "a.test": {false, true}, "printer.local": {false, true},
		"localhost": {}, "a.localhost": {}, "192.0.2.1": {}, "2001:db8::1": {}, "": {}, "*": {}, "a b.com": {},
	} {
		if Eligible(host, false) != want.public || Eligible(host, true) != want.own {
			t.Errorf("%q: public %v, own %v", host, Eligible(host, false), Eligible(host, true))
		}
	}
}
