package config

import (
	"strings"
	"testing"

	"tandem/internal/farm"
)

// TestRemoveALinkedMember: whom others name in their links is not cut out from under them, and the error says where.
func TestRemoveALinkedMember(t *testing.T) {
	src := []byte(oneMember)
	for _, m := range []Member{
		{Name: "hub", Address: "10.0.0.2:7443", Roles: []farm.Role{farm.RoleNode}, Key: key("2")},
		{Name: "web3", Address: "10.0.0.3:7443", Roles: []farm.Role{farm.RoleNode}, Key: key("3"), Links: []farm.MemberID{"hub"}},
	} {
		var err error
		if src, err = AddMember(src, m); err != nil {
			t.Fatal(err)
		}
	}
	_, err := RemoveMember(src, "hub")
	if farm.KindOf(err) != farm.Invalid || !strings.Contains(err.Error(), "hub") {
		t.Fatalf("removed: %v", err)
	}
	free := strings.Replace(string(src), "links = [\"hub\"]\n", "", 1)
	if _, err := RemoveMember([]byte(free), "hub"); err != nil {
		t.Errorf("nobody names it any more: %v", err)
	}
}
