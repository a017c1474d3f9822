package control

import (
	"context"
	"reflect"
	"testing"

	"tandem/internal/farm"
)

var someFronts = Fronts{Farm: "shop", Revision: "abc", Nodes: []FrontNode{{
	Name: "web1", Host: "192.0.2.11", Weight: 2, Draining: true,
	Bindings: []SiteBinding{{Site: "sites/shop.caddy", Host: "shop.example.com", Address: ":443", TLS: true}},
}}}

func (b *fakeBackend) Fronts(context.Context) (Fronts, error) {
	if b.err != nil {
		return Fronts{}, b.err
	}
	return someFronts, nil
}

func TestFronts(t *testing.T) {
	b := &fakeBackend{}
	c, _ := serveTest(t, b)
	if got, err := c.Fronts(t.Context()); err != nil || !reflect.DeepEqual(got, someFronts) {
		t.Errorf("got %+v, %v", got, err)
	}
	b.err = farm.Errorf("fronts", "", farm.Unavailable, "the member is starting")
	if _, err := c.Fronts(t.Context()); farm.KindOf(err) != farm.Unavailable {
		t.Errorf("error is %v", err)
	}
}
