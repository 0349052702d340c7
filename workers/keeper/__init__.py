"""The keeper looks after what nobody else is looking after."""
