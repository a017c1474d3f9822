package config

import (
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]Rate{
		"20 Mbit/s": 2_500_000, "64kbit/s": 8_000, "1.5 MB/s": 1_500_000, "1 MiB/s": 1 << 20, "unlimited": 0,
		"": -1, "20": -1, "20 mbit": -1, "-1 Mbit/s": -1, "1e3 Mbit/s": -1, "1 kbit/s": -1, "99999999999999 Gbit/s": -1, "NaN Mbit/s": -1,
	} {
		got, err := ParseRate(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for rate, want := range map[Rate]string{0: "unlimited", 2_500_000: "20 Mbit/s", 8_000: "64 kbit/s"} {
		if rate.String() != want {
			t.Errorf("%d is %s", rate, rate)
		}
	}
}

func TestHours(t *testing.T) {
	for _, bad := range []string{"", "mon", "mon 08:00 5 Mbit/s", "moon 08:00-09:00 5 Mbit/s", "mon 08:00-08:00 5 Mbit/s",
		"mon 8-9 5 Mbit/s", "mon 08:00-24:01 5 Mbit/s", "mon 08:60-09:00 5 Mbit/s", "mon 08:00-09:00", "mon- 08:00-09:00 5 Mbit/s"} {
		if h, err := ParseHours(bad); err == nil {
			t.Errorf("%q is taken as %+v", bad, h)
		}
	}
	at := func(day, clock string) time.Time { // 2026-11-23 is a Monday
		t.Helper()
		when, err := time.Parse("2006-01-02 15:04", "2026-11-"+day+" "+clock)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, tt := range []struct {
		hours string
		when  time.Time
		want  bool
	}{
		{"mon-fri 08:00-18:00 5 Mbit/s", at("23", "08:00"), true},
		{"mon-fri 08:00-18:00 5 Mbit/s", at("23", "07:59"), false},
		{"mon-fri 08:00-18:00 5 Mbit/s", at("27", "17:59"), true},
		{"mon-fri 08:00-18:00 5 Mbit/s", at("27", "18:00"), false},
		{"mon-fri 08:00-18:00 5 Mbit/s", at("28", "12:00"), false},
		{"fri-mon 08:00-18:00 5 Mbit/s", at("22", "12:00"), true},
		{"fri-mon 08:00-18:00 5 Mbit/s", at("24", "12:00"), false},
		{"sat,sun 00:00-24:00 unlimited", at("28", "23:59"), true},
		{"fri 22:00-06:00 unlimited", at("28", "05:59"), true}, // the night after Friday
		{"fri 22:00-06:00 unlimited", at("27", "05:59"), false},
		{"daily 22:00-06:00 unlimited", at("24", "23:00"), true},
	} {
		h, err := ParseHours(tt.hours)
		if err != nil || h.At(tt.when) != tt.want {
			t.Errorf("%s at %s: %v, %v", tt.hours, tt.when, h.At(tt.when), err)
		}
	}
}

func TestRateOfALink(t *testing.T) {
	day, err := ParseHours("mon-fri 08:00-18:00 8 Mbit/s")
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{Members: []Member{{Name: "a"}, {Name: "b", Bandwidth: 5e6, BandwidthAt: []Hours{day}}, {Name: "c", Bandwidth: 2e6}}}
	noon, night := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC)
	if got := c.RateAt("a", "b", noon); got != 1e6 {
		t.Errorf("a to b at noon: %s", got)
	}
	if got := c.RateAt("b", "a", night); got != 5e6 {
		t.Errorf("b to a at night: %s", got)
	}
	if got := c.RateAt("b", "c", night); got != 2e6 {
		t.Errorf("b to c: %s", got)
	}
	if got := c.RateAt("a", "gone", night); got != 0 {
		t.Errorf("a to nobody: %s", got)
	}
}
