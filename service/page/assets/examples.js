// Sentences to start from. The first is shown when the page opens.

export const EXAMPLES = [
  {
    name: "Onions",
    premise: "A woman is slicing an onion in the kitchen.",
    hypotheses: [
      "Someone is cutting vegetables.",
      "A woman is cooking dinner for her family.",
      "The kitchen is empty.",
      "A man is sleeping.",
    ],
  },
  {
    name: "Football",
    premise: "A soccer game with multiple males playing.",
    hypotheses: ["Some men are playing a sport.", "Nobody is on the field.", "The match is a final."],
  },
  {
    name: "Dogs in the snow",
    premise: "Two dogs are running through a field of snow.",
    hypotheses: [
      "There are two dogs.",
      "Animals are outside in the cold.",
      "The dogs are chasing a rabbit.",
      "The dogs are sleeping indoors.",
    ],
  },
];
