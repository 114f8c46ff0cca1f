"""What every step needs: constants, whole files, claims of folders, the loop over stacks."""
