package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/rebased/rebased"
)

// purse is what a build may spend: spent + granted never exceeds the cap. Each step of a shard gets a grant; what it did not use comes back with its
// result. A step that dies keeps its grant, and its next attempt finds in the books what it has spent.
type purse struct {
	Cap     rebased.Amount `json:"cap"` // rebased.Uncapped in a unit without a cap
	Spent   rebased.Amount `json:"spent"`
	Granted rebased.Amount `json:"granted"`

	holders int // steps with a grant
	raises  int // how often the cap was raised
}

func newPurse(b rebased.Budget) purse {
	p := purse{Cap: rebased.Amount{Pico: rebased.Uncapped, Tokens: rebased.Uncapped}}
	if b.USD > 0 {
		p.Cap.Pico = rebased.PicosOf(b.USD)
	}
	if b.Tokens > 0 {
		p.Cap.Tokens = b.Tokens
	}
	return p
}

func (p *purse) capped() bool {
	return p.Cap.Pico != rebased.Uncapped || p.Cap.Tokens != rebased.Uncapped
}

// free is what can be granted; at least nothing.
func (p *purse) free() rebased.Amount {
	left := p.Cap.Sub(p.Spent).Sub(p.Granted)
	return rebased.Amount{Pico: max(0, left.Pico), Tokens: max(0, left.Tokens)}
}

// grant is the limit of an account that has spent so much, when amount more is given to it.
func (p *purse) grant(spent, amount rebased.Amount) *rebased.Amount {
	limit := spent.Add(amount)
	if p.Cap.Pico == rebased.Uncapped {
		limit.Pico = rebased.Uncapped
	}
	if p.Cap.Tokens == rebased.Uncapped {
		limit.Tokens = rebased.Uncapped
	}
	return &limit
}

// covers tells whether amount is enough for need, in the units that are capped.
func (p *purse) covers(amount, need rebased.Amount) bool {
	return need.Within(*p.grant(rebased.Amount{}, amount))
}

// take gives one of so many lanes its grant. At first that is an even part of what is free. A step that came back short needs so much for its next
// call: it waits until its part covers that, or until no other step holds a grant, and then has all that is free. When that does not
// cover it either, the build waits, with no process, until a person raises the budget.
func (b *build) take(ctx workflow.Context, lanes int, need *rebased.Amount) (rebased.Amount, error) {
	p := &b.state.Purse
	for {
		free := p.free()
		others := int64(max(1, lanes-p.holders))
		amount := rebased.Amount{Pico: free.Pico / others, Tokens: free.Tokens / others}
		switch {
		case need == nil || p.covers(amount, *need):
			return p.hold(amount), nil
		case p.holders == 0 && p.covers(free, *need):
			return p.hold(free), nil
		}
		raises, holders := p.raises, p.holders
		if holders == 0 && b.state.Progress.State != rebased.StateBudgetExhausted {
			b.setState(ctx, rebased.StateBudgetExhausted, p.exhausted(b.ref.Build, *need))
		}
		if err := b.until(ctx, func() bool { return p.raises > raises || p.holders < holders }); err != nil {
			return rebased.Amount{}, err
		}
	}
}

func (p *purse) hold(amount rebased.Amount) rebased.Amount {
	p.holders++
	p.Granted = p.Granted.Add(amount)
	return amount
}

// settle takes a grant back and enters what was spent of it.
func (p *purse) settle(amount, spent rebased.Amount) {
	if p.capped() {
		p.holders--
	}
	p.Granted = p.Granted.Sub(amount)
	p.Spent = p.Spent.Add(spent)
}

func (p *purse) exhausted(build string, need rebased.Amount) string {
	said := ""
	if p.Cap.Pico != rebased.Uncapped {
		said = fmt.Sprintf("%.6f of %.6f USD", p.Spent.USD(), p.Cap.USD())
	}
	if p.Cap.Tokens != rebased.Uncapped {
		if said != "" {
			said += " and "
		}
		said += fmt.Sprintf("%d of %d tokens", p.Spent.Tokens, p.Cap.Tokens)
	}
	return fmt.Sprintf("the budget does not cover the next call: %s are spent, it may take %.6f USD and %d tokens: rebased builds raise-budget %s, or cancel",
		said, need.USD(), need.Tokens, build)
}

// showSpend puts spent and cap into the progress.
func (b *build) showSpend() {
	p := b.state.Purse
	b.state.Progress.Spent = rebased.Spend{USD: p.Spent.USD(), Tokens: p.Spent.Tokens}
	b.state.Progress.Cap = rebased.Spend{USD: max(0, p.Cap.USD()), Tokens: max(0, p.Cap.Tokens)}
	if p.Cap.Pico == rebased.Uncapped {
		b.state.Progress.Cap.USD = 0
	}
}

// listenBudget answers the update that raises the budget.
func (b *build) listenBudget(ctx workflow.Context) error {
	raise := func(ctx workflow.Context, r BudgetRaise) (rebased.Progress, error) {
		p := &b.state.Purse
		if r.USD != 0 {
			p.Cap.Pico = rebased.PicosOf(r.USD)
		}
		if r.Tokens != 0 {
			p.Cap.Tokens = r.Tokens
		}
		p.raises++
		b.showSpend()
		if b.state.Progress.State == rebased.StateBudgetExhausted {
			b.setState(ctx, rebased.StateRunning, "")
		}
		return b.state.Progress, nil
	}
	validate := func(r BudgetRaise) error {
		if b.superseded != nil {
			return b.gone()
		}
		if state := b.state.Progress.State; state != rebased.StateBudgetExhausted && state != rebased.StateRunning {
			return fmt.Errorf("the build is %s, a budget is of no use to it", state)
		}
		return b.state.Purse.refuse(r)
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateRaiseBudget, raise, workflow.UpdateHandlerOptions{Validator: validate})
}

// refuse says why a budget cannot be raised so; nil when it can.
func (p *purse) refuse(r BudgetRaise) error {
	switch {
	case !p.capped():
		return errors.New("the build has no budget")
	case r.USD == 0 && r.Tokens == 0:
		return errors.New("neither usd nor tokens is given")
	case r.USD != 0 && p.Cap.Pico == rebased.Uncapped:
		return errors.New("the build has no budget in USD")
	case r.Tokens != 0 && p.Cap.Tokens == rebased.Uncapped:
		return errors.New("the build has no budget in tokens")
	case r.USD > rebased.MaxBudgetUSD:
		return fmt.Errorf("the budget is at most %d USD", rebased.MaxBudgetUSD)
	case r.USD != 0 && rebased.PicosOf(r.USD) < p.Cap.Pico:
		return fmt.Errorf("the budget is %.6f USD, it cannot become less (%.6f)", p.Cap.USD(), r.USD)
	case r.Tokens != 0 && r.Tokens < p.Cap.Tokens:
		return fmt.Errorf("the budget is %d tokens, it cannot become less (%d)", p.Cap.Tokens, r.Tokens)
	}
	return nil
}
