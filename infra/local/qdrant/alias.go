package qdrant

import (
	"slices"
	"strings"

	pb "github.com/qdrant/go-client/qdrant"
	"github.com/rebased/rebased"
)

// changeAliases does all actions or none.
func (c *catalog) changeAliases(actions []*pb.AliasOperations) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.state.clone()
	for _, action := range actions {
		if err := next.changeAlias(action); err != nil {
			return err
		}
	}
	return c.save(next)
}

func (s catalogState) changeAlias(action *pb.AliasOperations) error {
	switch a := action.GetAction().(type) {
	case *pb.AliasOperations_CreateAlias:
		return s.setAlias(a.CreateAlias.GetAliasName(), a.CreateAlias.GetCollectionName())
	case *pb.AliasOperations_RenameAlias:
		target, ok := s.Aliases[a.RenameAlias.GetOldAliasName()]
		if !ok {
			return rebased.E(rebased.NotFound, "Alias %s does not exists!", a.RenameAlias.GetOldAliasName())
		}
		delete(s.Aliases, a.RenameAlias.GetOldAliasName())
		return s.setAlias(a.RenameAlias.GetNewAliasName(), target)
	case *pb.AliasOperations_DeleteAlias:
		delete(s.Aliases, a.DeleteAlias.GetAliasName())
		return nil
	}
	return rebased.E(rebased.Invalid, "an alias operation is empty")
}

// setAlias points an alias, new or not, at a collection.
func (s catalogState) setAlias(alias, collection string) error {
	if err := validName(alias); err != nil {
		return err
	}
	if _, ok := s.Collections[collection]; !ok {
		return missing(collection)
	}
	if _, ok := s.Collections[alias]; ok {
		return rebased.E(rebased.Conflict, "Collection `%s` already exists!", alias)
	}
	s.Aliases[alias] = collection
	return nil
}

// aliases lists the aliases of one collection, or of all for "", by name.
func (c *catalog) aliases(collection string) []*pb.AliasDescription {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var list []*pb.AliasDescription
	for alias, target := range c.state.Aliases {
		if collection == "" || target == collection {
			list = append(list, &pb.AliasDescription{AliasName: alias, CollectionName: target})
		}
	}
	slices.SortFunc(list, func(a, b *pb.AliasDescription) int { return strings.Compare(a.GetAliasName(), b.GetAliasName()) })
	return list
}
