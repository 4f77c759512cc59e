"""What a bundle's verdicts are fitted on, and how good they are: `cmow.service.model.verdicts`."""
